import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { InMemorySmsSender } from '../../testing/in-memory-sms-sender.js';
import { untilFallback } from '../../testing/until-fallback.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf } from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';

describe('untilFallback', () => {
  const sender = new InMemorySmsSender();
  let application: TestApplication;
  let sid: string;

  beforeAll(async () => {
    application = await TestApplication.start({ parts: { smsSender: { useValue: sender } } });
  });

  beforeEach(async () => {
    ({ twilioSid: sid } = await seedMessage(application.dataSource, { body: 'Hello Ada' }));
  });

  afterAll(() => application.close());

  /** A limit for a hang: the fallback comes after the callback's answer. */
  const timeoutMilliseconds = 40_000;

  it('returns the fallback once it has ended, with its SMS', async () => {
    await policyFailure(application, sid);
    expect(await untilFallback(application.app, sid, { timeoutMilliseconds })).toMatchObject({
      originalMessageSid: sid,
      state: 'sent',
      reason: null,
      toNumber: recipientOf(sid),
      body: 'Hello Ada',
      smsMessageSid: sender.sms.find(({ originalMessageSid }) => originalMessageSid === sid)?.messageSid,
    });
  });

  it('returns a fallback that has failed, with the reason', async () => {
    sender.rejectNext({ code: '21610' });
    await policyFailure(application, sid);
    expect(await untilFallback(application.app, sid, { timeoutMilliseconds })).toMatchObject({
      state: 'failed',
      reason: 'rejected_by_twilio',
      lastErrorCode: '21610',
      smsMessageSid: null,
    });
  });

  it.each(['uncertain', ['uncertain', 'sent']] as const)('waits for the state %j', async (state) => {
    sender.hangNext();
    await policyFailure(application, sid);
    const fallback = await untilFallback(application.app, sid, { state, timeoutMilliseconds });
    expect(fallback).toMatchObject({ state: 'uncertain', reason: 'no_answer_from_twilio' });
  });

  it('rejects with the last state and its reason if time runs out', async () => {
    sender.hangNext();
    await policyFailure(application, sid);
    await untilFallback(application.app, sid, { state: 'uncertain', timeoutMilliseconds });
    await expect(untilFallback(application.app, sid, { timeoutMilliseconds: 0 })).rejects.toThrow(
      `The fallback of ${sid} was not sent or skipped or failed within 0 ms: it is uncertain (no_answer_from_twilio, SIMULATED, Simulated)`,
    );
  });

  it('rejects with a hint if there is no fallback', async () => {
    const unknown = randomMessageSid();
    await expect(untilFallback(application.app, unknown, { timeoutMilliseconds: 0 })).rejects.toThrow(
      `The fallback of ${unknown} was not sent or skipped or failed within 0 ms: there is none. Was its policy failure reported`,
    );
  });
});
