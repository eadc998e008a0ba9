import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { seedMessage } from '../support/seed.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';

/** Periodic work is due for both at once: an event to delete, which is already counted. */
const OLD_EVENT = `
  insert into message_events (id, message_sid, message_status, channel, account_sid, payload, created_at)
  values (gen_random_uuid(), 'SMold', 'sent', 'sms', 'AC1', '{}', now() - interval '10 days')`;

// The embedded database serves one process.
describeOnServer('a replica with WORKER_CONCURRENCY=0', () => {
  let database: ServiceDatabase;
  let twilio: TwilioSimulator;
  let web: ServiceProcess;
  let env: ServiceEnv;

  beforeEach(async () => {
    database = await createServiceDatabase();
    twilio = await TwilioSimulator.start({
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, web.origin),
    });
    env = { ...database.env, TWILIO_API_BASE_URL: twilio.baseUrl, RETENTION_DAYS: '3' };
  });

  afterEach(async () => {
    await endServices();
    await twilio.close();
    await database.remove();
  });

  function rows<Row>(sql: string): Promise<Row[]> {
    return database.use((dataSource) => dataSource.query<Row[]>(sql));
  }

  it('accepts callbacks, and leaves the SMS and the periodic work to a replica with a worker', async () => {
    const { twilioSid } = await database.use((dataSource) => seedMessage(dataSource));
    await rows(OLD_EVENT);
    web = await ServiceProcess.start({ ...env, WORKER_CONCURRENCY: '0' });
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
    const health = await fetch(`${web.origin}/health/ready`);
    expect(await health.json()).toEqual({ status: 'ok', database: 'up', worker: 'off' });
    expect(await rows('select message_sid from message_events order by created_at')).toEqual([
      { message_sid: 'SMold' },
      { message_sid: twilioSid },
    ]);
    expect(await rows('select locked_at from whatsapp_sms_fallback_queue.jobs')).toEqual([
      { locked_at: null },
    ]);

    const worker = await ServiceProcess.start(env);
    await until('the SMS to be sent', () => worker.messages.includes('SMS fallback sent'));
    expect(twilio.messages).toHaveLength(1);
    await until('the old event to be deleted', async () => {
      const old = await rows(`select 1 from message_events where message_sid = 'SMold'`);
      return old.length === 0;
    });
  });
});
