import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { smsStatusParameters, type StatusCallback } from '../../simulator/callback-parameters.js';
import { MODULE_OPTIONS_TOKEN as MESSAGE_EVENTS_OPTIONS } from '../../src/message-events/policy-failure.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { findFallback, policyFailure, recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';

describe('the trigger of a fallback', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  it.each(['failed', 'undelivered'])(
    'is a WhatsApp message that is %s with 63049, and its SMS has the same text',
    async (status) => {
      const message = await seedMessage(application.dataSource);
      await policyFailure(application, message.twilioSid, { status });
      const fallback = await untilAllIsDone(application, message.twilioSid);
      expect(fallback.state).toBe('sent');
      expect(smsFor(application, message.twilioSid)).toMatchObject([
        { body: message.body, sid: fallback.smsMessageSid },
      ]);
    },
  );

  const harmless: readonly [string, Partial<StatusCallback>][] = [
    ['failed with another code', { status: 'failed', errorCode: 63016 }],
    ['undelivered because the recipient opted out', { errorCode: 63014 }],
    ['failed without a code', { status: 'failed', errorCode: undefined }],
    ['delivered although the code is there', { status: 'delivered' }],
    ['sent although the code is there', { status: 'sent' }],
    ['failed on RCS', { status: 'failed', to: 'rcs:+15557654321', extra: { To: 'rcs:+15557654321' } }],
    ['failed on Messenger', { status: 'failed', extra: { To: 'messenger:1234', From: 'messenger:5678' } }],
  ];

  it.each(harmless)('is not a message that is %s', async (_, overrides) => {
    const message = await seedMessage(application.dataSource);
    await policyFailure(application, message.twilioSid, overrides);
    // The policy failure of another message goes the whole way, so this one's callback was handled before.
    await expectNothingSent(message.twilioSid);
  });

  it('is not an SMS that is undelivered with 63049', async () => {
    const message = await seedMessage(application.dataSource);
    const { status } = await application.twilio.sendCallback({
      url: WEBHOOK_URL,
      parameters: smsStatusParameters({
        messageSid: message.twilioSid,
        status: 'undelivered',
        errorCode: 63049,
        to: recipientOf(message.twilioSid),
        from: '+15550001111',
      }),
    });
    expect(status).toBe(204);
    await expectNothingSent(message.twilioSid);
  });

  async function expectNothingSent(messageSid: string): Promise<void> {
    const later = await seedMessage(application.dataSource);
    await policyFailure(application, later.twilioSid);
    await untilAllIsDone(application, later.twilioSid);
    const events = await application.query('select 1 from message_events where message_sid = $1', [
      messageSid,
    ]);
    expect(events).toHaveLength(1);
    expect(await findFallback(application, messageSid)).toBeNull();
    expect(smsFor(application, messageSid)).toEqual([]);
  }
});

describe('the codes of FALLBACK_ERROR_CODES', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: { FALLBACK_ERROR_CODES: '63024, 63032' } });
  });

  afterAll(() => application.close());

  it('trigger a fallback instead of 63049', async () => {
    const codes = application.app.get<unknown>(MESSAGE_EVENTS_OPTIONS);
    expect(codes).toEqual({ policyFailureErrorCodes: ['63024', '63032'] });
    const [usual, configured] = [randomMessageSid(), randomMessageSid()];
    for (const twilioSid of [usual, configured]) await seedMessage(application.dataSource, { twilioSid });
    await policyFailure(application, usual);
    await policyFailure(application, configured, { errorCode: 63032 });
    await untilAllIsDone(application, configured);
    await untilQueueIsEmpty(application);
    expect(smsFor(application, configured)).toHaveLength(1);
    expect(smsFor(application, usual)).toEqual([]);
    expect(await findFallback(application, usual)).toBeNull();
  });
});
