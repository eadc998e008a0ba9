import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { createInFolder, createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, requiredEnv, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

describe('a service that starts', () => {
  let database: ServiceDatabase;
  let twilio: TwilioSimulator;
  let service: ServiceProcess;

  beforeAll(async () => {
    twilio = await TwilioSimulator.start({
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, service.origin),
    });
    database = await createServiceDatabase();
    await database.use((dataSource) => dataSource.query('select 1'));
  });

  afterEach(endServices);

  afterAll(async () => {
    await twilio.close();
    await database.remove();
  });

  async function start(env: ServiceEnv = {}): Promise<void> {
    service = await ServiceProcess.start({ ...database.env, ...env });
  }

  async function report(messageSid: string): Promise<void> {
    const answer = await twilio.sendCallback({
      url: WEBHOOK_URL,
      parameters: whatsappStatusParameters({
        messageSid,
        status: 'delivered',
        to: '+15557654321',
        from: '+15550001111',
      }),
    });
    expect(answer.status).toBe(204);
  }

  it('needs no network but the database', async () => {
    await start({ TWILIO_API_BASE_URL: 'http://127.0.0.1:1' });
    const response = await until('the service to be ready', async () => {
      const answer = await fetch(`${service.origin}/health/ready`);
      return answer.status === 200 && answer;
    });
    expect(await response.json()).toEqual({ status: 'ok', database: 'up', worker: 'up' });
  });

  it('logs its configuration without tokens, passwords, or telephone numbers', async () => {
    const url = new URL(database.env.DATABASE_URL ?? 'postgresql://localhost');
    // Servers that trust their clients, such as those of tests, accept any password.
    if (url.password === '') url.password = 's3cr3t-password';
    await start({
      ...(database.env.DATABASE_URL !== undefined && { DATABASE_URL: url.toString() }),
      TWILIO_AUTH_TOKEN_SECONDARY: 's3cr3t-secondary',
      TWILIO_SUBACCOUNTS: 'AC1234:s3cr3t-one,AC5678:s3cr3t-two',
      TWILIO_WEBHOOK_SHARED_KEYS: 'webhooks_sharedkey_1:s3cr3t-old,webhooks_sharedkey_2:s3cr3t-new',
      TWILIO_PHONE_NUMBER_REMINDERS: '+15550009999',
      FALLBACK_ERROR_CODES: '63049,63024',
      LOG_LEVEL: 'verbose',
    });
    await report('SMstartup');
    service.signal('SIGTERM');
    await service.ended;
    expect(service.lines.find(({ message }) => message === 'The service is configured')).toMatchObject({
      level: 'log',
      twilioAccounts: [expect.any(String), 'AC1234', 'AC5678'],
      secondaryAuthTokenConfigured: true,
      webhookSharedKeysConfigured: 2,
      defaultNumberConfigured: true,
      signaturesCheckedAgainst: PUBLIC_BASE_URL,
      fallbackErrorCodes: ['63049', '63024'],
    });
    for (const secret of ['s3cr3t', url.password, '5550009999', '5557654321', 'de305ecede305ece']) {
      expect(service.output).not.toContain(secret);
    }
  });

  it('logs JSON in production, including the path of each callback to its event', async () => {
    await start();
    await report('SMjson');
    await until('the callback to be logged', () =>
      service.messages.some((message) => String(message).includes('event logged')),
    );
    for (const line of service.lines) {
      expect(line).toMatchObject({
        level: expect.stringMatching(/^(log|warn)$/) as unknown,
        message: expect.any(String) as unknown,
        timestamp: expect.any(Number) as unknown,
      });
    }
    service.signal('SIGTERM');
    await service.ended;
    const [event] = await database.use((dataSource) =>
      dataSource.query<{ id: string }[]>(`select id from message_events where message_sid = 'SMjson'`),
    );
    const way = service.messages.filter((message) => String(message).includes('[WEBHOOK]'));
    expect(way).toEqual([
      '📞 [WEBHOOK] Received Twilio message status webhook',
      '✅ [WEBHOOK] Twilio signature validated',
      `✅ [WEBHOOK] Message event logged: ${event?.id ?? ''}`,
    ]);
    expect(service.stderr).toBe('');
  });

  it('logs the levels of LOG_LEVEL', async () => {
    await start({ LOG_LEVEL: 'debug' });
    await until('a line of debugging', () => service.lines.some(({ level }) => level === 'debug'));
    await endServices();
    // Without PUBLIC_BASE_URL the service logs a warning.
    const env = { ...requiredEnv, ...database.env, PORT: '0', NODE_ENV: 'production', LOG_LEVEL: 'warn' };
    const quiet = ServiceProcess.run('main', env);
    await until('the warning', () => quiet.output.includes('Neither PUBLIC_BASE_URL nor TRUST_PROXY is set'));
    quiet.signal('SIGTERM');
    await quiet.ended;
    expect(quiet.lines.map(({ level }) => level)).not.toContain('log');
  });
});

describe('a service on the embedded database', () => {
  afterEach(endServices);

  it('creates it, says so, and logs only JSON', async () => {
    const database = await createInFolder();
    const service = await ServiceProcess.start(database.env);
    expect(service.lines).toContainEqual(
      expect.objectContaining({
        message: 'The service is configured',
        database: `embedded, in ${database.env.EMBEDDED_DATA_DIR ?? ''}`,
      }),
    );
    expect(service.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        message: expect.stringContaining('embedded database serves one process only') as unknown,
      }),
    );
    await endServices();
    await database.remove();
  });
});
