import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { silent } from '../../simulator/callback-plan.js';
import type { Fault } from '../../simulator/faults.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { seedMessage } from '../support/seed.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

/** The documented limit for a process that dies while it runs a job. */
const RECOVERY_MILLISECONDS = 60_000;

jest.setTimeout(2 * RECOVERY_MILLISECONDS);

describe('a service that is killed while it sends an SMS', () => {
  let database: ServiceDatabase;
  let twilio: TwilioSimulator;
  let service: ServiceProcess;
  let env: ServiceEnv;

  beforeEach(async () => {
    twilio = await TwilioSimulator.start({
      callbackPlan: silent,
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, service.origin),
    });
    database = await createServiceDatabase();
    env = { ...database.env, TWILIO_API_BASE_URL: twilio.baseUrl };
  });

  afterEach(async () => {
    await endServices();
    await twilio.close();
    await database.remove();
  });

  /** Kills the service during its request to send the SMS. */
  async function killWhileSending(fault: Fault): Promise<void> {
    const { twilioSid } = await database.use((dataSource) => seedMessage(dataSource));
    service = await ServiceProcess.start(env);
    twilio.failNext({ on: 'create', fault });
    const parameters = whatsappStatusParameters({
      messageSid: twilioSid,
      status: 'undelivered',
      errorCode: 63049,
      to: 'whatsapp:+15557654321',
      from: 'whatsapp:+15550001111',
    });
    const { status } = await twilio.sendCallback({ url: WEBHOOK_URL, parameters });
    expect(status).toBe(204);
    await until('the SMS to be on its way', () => twilio.requests.some(({ method }) => method === 'POST'));
    service.signal('SIGKILL');
    await service.ended;
  }

  async function expectOneSms(survivor: ServiceProcess, killedAt: number): Promise<void> {
    await until(
      'the SMS to be sent and recorded',
      () => survivor.messages.includes('SMS fallback sent'),
      1.5 * RECOVERY_MILLISECONDS,
    );
    expect(Date.now() - killedAt).toBeLessThan(RECOVERY_MILLISECONDS);
    expect(twilio.messages).toHaveLength(1);
  }

  it('sends one SMS within a minute when it starts again', async () => {
    await killWhileSending({ type: 'hangBeforeAccepting' });
    const killedAt = Date.now();
    await expectOneSms(await ServiceProcess.start(env), killedAt);
  });

  // The embedded database serves one process.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('is replaced within a minute by another replica, which finds the SMS that Twilio has accepted', async () => {
      const other = await ServiceProcess.start({ ...env, LOG_LEVEL: 'log' });
      // The killed job has to belong to the first process.
      other.signal('SIGSTOP');
      await killWhileSending({ type: 'hangAfterAccepting' });
      other.signal('SIGCONT');
      await expectOneSms(other, Date.now());
    });
  }
});
