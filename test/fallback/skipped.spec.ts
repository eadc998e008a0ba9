import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  attemptsFor,
  policyFailure,
  recipientOf,
  untilAllIsDone,
  untilFallbackIs,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

describe('a fallback without an SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      override: withFallbackOptions({ defaultFrom: undefined, originalMessageWaitMilliseconds: 500 }),
    });
  });

  afterAll(() => application.close());

  async function expectSkipped(messageSid: string, reason: string): Promise<void> {
    const fallback = await untilAllIsDone(application, messageSid);
    expect(fallback).toMatchObject({ state: 'skipped', reason, attempts: 0, smsMessageSid: null });
    expect(attemptsFor(application, messageSid)).toEqual([]);
  }

  it('ends as original_message_not_found after the application had its time to store the message', async () => {
    const sid = randomMessageSid();
    await policyFailure(application, sid);
    await expectSkipped(sid, 'original_message_not_found');
    const fallback = await untilFallbackIs(application, sid, 'skipped');
    expect(fallback.updatedAt.getTime() - fallback.createdAt.getTime()).toBeGreaterThanOrEqual(500);
  });

  it('ends as conversation_without_company if the conversation has none', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { company: false });
    await policyFailure(application, twilioSid);
    await expectSkipped(twilioSid, 'conversation_without_company');
  });

  it('ends as no_sender_number if the message has no conversation and there is no default sender', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await application.query('update messages set conversation_id = null where twilio_sid = $1', [twilioSid]);
    await policyFailure(application, twilioSid);
    await expectSkipped(twilioSid, 'no_sender_number');
  });

  it('ends as no_sender_number if neither the company nor the operator has one', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { companyPhoneNumber: null });
    await policyFailure(application, twilioSid);
    await expectSkipped(twilioSid, 'no_sender_number');
  });

  it('ends as no_text if neither messages nor Twilio has one', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: null });
    application.twilio.addMessage({ sid: twilioSid, to: `whatsapp:${recipientOf(twilioSid)}`, body: ' ' });
    await policyFailure(application, twilioSid);
    await expectSkipped(twilioSid, 'no_text');
  });

  it('ends as no_text if messages has none and Twilio does not know the message', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: '' });
    await policyFailure(application, twilioSid);
    await expectSkipped(twilioSid, 'no_text');
  });

  it('ends as no_recipient if neither the callback nor Twilio names one', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid, { without: ['To'] });
    await expectSkipped(twilioSid, 'no_recipient');
    expect(application.twilio.messages).toEqual([]);
  });
});

describe('an original message that is not stored yet', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  it('is looked for with growing pauses, and its SMS is sent once it is stored', async () => {
    const sid = randomMessageSid();
    await policyFailure(application, sid);
    const waiting = await until('two looks at the message', async () => {
      const fallback = await untilFallbackIs(application, sid, 'claimed');
      const pause = fallback.nextAttemptAt.getTime() - fallback.updatedAt.getTime();
      return fallback.reason !== null && fallback.lockedUntil === null && pause > 1_100 && fallback;
    });
    expect(waiting).toMatchObject({ reason: 'waiting_for_original_message', attempts: 0 });
    await seedMessage(application.dataSource, { twilioSid: sid, body: 'Stored late' });
    await attemptNow(application, waiting.id);
    const fallback = await untilAllIsDone(application, sid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1 });
    expect(attemptsFor(application, sid)).toMatchObject([{ parameters: { Body: 'Stored late' } }]);
  });
});
