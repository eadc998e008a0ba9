import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { DataSource } from 'typeorm';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { DatabaseLine } from '../support/database-line.js';
import { seedMessage } from '../support/seed.js';
import { endServices, ServiceProcess } from '../support/service-process.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';

const STOPPED = 'The job queue stopped and will be started again';

jest.setTimeout(120_000);

describeOnServer('a service whose database goes away during a job', () => {
  let line: DatabaseLine;
  let twilio: TwilioSimulator;
  let service: ServiceProcess;
  let dataSource: DataSource;

  beforeEach(async () => {
    const database = await createTestDatabase();
    line = await DatabaseLine.open(database);
    twilio = await TwilioSimulator.start({
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, service.origin),
    });
    dataSource = await new DataSource(dataSourceOptions(database)).initialize();
    service = await ServiceProcess.start({ DATABASE_URL: line.url, TWILIO_API_BASE_URL: twilio.baseUrl });
  });

  afterEach(async () => {
    await endServices();
    await dataSource.destroy();
    await twilio.close();
    await line.close();
  });

  async function reportPolicyFailure(): Promise<void> {
    const { twilioSid } = await seedMessage(dataSource);
    const answer = await twilio.sendCallback({
      url: WEBHOOK_URL,
      parameters: whatsappStatusParameters({
        messageSid: twilioSid,
        status: 'undelivered',
        errorCode: 63049,
        to: 'whatsapp:+15557654321',
        from: 'whatsapp:+15550001111',
      }),
    });
    expect(answer.status).toBe(204);
  }

  async function untilReady(): Promise<void> {
    await until('the service to be ready', async () => {
      const { status } = await fetch(`${service.origin}/health/ready`);
      return status === 200;
    });
  }

  it('reports it in its log and nowhere else, without a stack, and recovers by itself', async () => {
    await untilReady();
    // Twilio does not answer, so the job is running when the database goes away, and ends before it is back.
    twilio.failNext({ on: 'create', fault: { type: 'hangBeforeAccepting' } });
    await reportPolicyFailure();
    await until('the job to be at work', () => twilio.requests.some(({ method }) => method === 'POST'));
    line.cut();
    await until('the queue to stop', () => service.output.includes(STOPPED), 40_000);
    line.mend();
    await untilReady();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });

    const lines = service.output.split('\n').filter((line) => line !== '');
    const messages = lines.map((line) => (JSON.parse(line) as { message: string }).message);
    expect(messages.filter((message) => message === STOPPED)).toHaveLength(1);
    expect(service.output).not.toMatch(/\\n\s+at /);
  });
});
