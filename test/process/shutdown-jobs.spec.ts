import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { inOrder } from '../../simulator/callback-plan.js';
import type { Fault } from '../../simulator/faults.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { PUBLIC_BASE_URL, WEBHOOK_URL } from '../support/application.js';
import { type SeededMessage, seedMessage } from '../support/seed.js';
import { createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

describe('a service that is stopped while it sends an SMS', () => {
  let database: ServiceDatabase;
  let twilio: TwilioSimulator;
  let service: ServiceProcess;
  let message: SeededMessage;

  beforeEach(async () => {
    twilio = await TwilioSimulator.start({
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, service.origin),
    });
    database = await createServiceDatabase();
    message = await database.use((dataSource) => seedMessage(dataSource));
    service = await ServiceProcess.start({ ...database.env, TWILIO_API_BASE_URL: twilio.baseUrl });
  });

  afterEach(async () => {
    await endServices();
    await twilio.close();
    await database.remove();
  });

  async function untilItSends(fault: Fault): Promise<void> {
    twilio.failNext({ on: 'create', fault });
    twilio.failNext({ on: 'fetch', times: Infinity, fault: { type: 'hangBeforeAccepting' } });
    // Its sending is reported, so the service need not ask Twilio for its date.
    for (const step of [{ status: 'sent' }, { status: 'undelivered', errorCode: 63049 }]) {
      const answer = await twilio.sendCallback({
        url: WEBHOOK_URL,
        parameters: whatsappStatusParameters({
          messageSid: message.twilioSid,
          to: '+15557654321',
          from: '+15550001111',
          ...step,
        }),
      });
      expect(answer.status).toBe(204);
    }
    await until('the SMS to be on its way', () => twilio.requests.some(({ method }) => method === 'POST'));
  }

  interface Left {
    readonly states: { state: string }[];
    readonly jobs: { locked: boolean; last_error: string | null }[];
  }

  function left(): Promise<Left> {
    return database.use(async (dataSource) => ({
      states: await dataSource.query<Left['states']>('select state from sms_fallbacks'),
      jobs: await dataSource.query<Left['jobs']>(
        'select locked_at is not null as locked, last_error from whatsapp_sms_fallback_queue._private_jobs',
      ),
    }));
  }

  it("waits for Twilio's slow answer and records it", async () => {
    // Twilio answers after its callback, which it sends after a second.
    twilio.callbackPlan = inOrder({ status: 'sent', delayMilliseconds: 1_000 });
    await untilItSends({ type: 'answerAfterCallbacks' });
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(await left()).toEqual({ states: [{ state: 'sent' }], jobs: [] });
    expect(twilio.messages).toHaveLength(1);
  });

  it('ends in time, with code 0, although Twilio answers neither to the SMS nor about a status', async () => {
    await endServices();
    await database.use(async (dataSource) => {
      await seedMessage(dataSource);
      await dataSource.query(`update messages set created_at = now() - interval '5 minutes'`);
      await dataSource.query(`update message_poll_watermarks set created_at = now() - interval '1 hour'`);
    });
    service = await ServiceProcess.start({
      ...database.env,
      TWILIO_API_BASE_URL: twilio.baseUrl,
      STATUS_POLL_AFTER_MINUTES: '1',
    });
    await untilItSends({ type: 'hangBeforeAccepting' });
    await until('a status to be asked for', () => twilio.requests.some(({ method }) => method === 'GET'));
    const before = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(10_000);
    expect(await left()).toMatchObject({ states: [{ state: 'sending' }], jobs: [{ locked: false }] });
  });

  it('ends in time, with code 0, if no answer comes, and leaves the job to the next process', async () => {
    await untilItSends({ type: 'hangBeforeAccepting' });
    const before = Date.now();
    service.signal('SIGTERM');
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - before).toBeLessThan(10_000);
    expect(await left()).toEqual({
      states: [{ state: 'sending' }],
      jobs: [{ locked: false, last_error: expect.any(String) as unknown }],
    });
  });
});
