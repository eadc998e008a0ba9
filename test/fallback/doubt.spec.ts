import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { silent } from '../../simulator/callback-plan.js';
import type { Fault } from '../../simulator/faults.js';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { FallbackOutcomes } from '../../src/fallback/fallback-outcomes.js';
import { StalledFallbacks } from '../../src/fallback/stalled-fallbacks.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  attemptsFor,
  expectOneSms,
  findFallback,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  untilFallbackEnds,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { followAgainNow } from '../support/following.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
import { leaveBehind } from './leave-behind.js';

const REFUSED_FOR_NOW: Fault = { type: 'error', status: 429, code: 20429, retryAfterSeconds: 600 };
const OPTED_OUT: Fault = { type: 'error', status: 400, code: 21610 };

/** A second attempt with a definite answer says nothing about the first, which had none. */
describe('an attempt without an answer, after a later one with a definite answer,', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: { callbackPlan: silent, listDelayMilliseconds: Infinity },
      override: withFallbackOptions({ settlingMilliseconds: 0 }),
    });
  });

  afterAll(() => application.close());

  /** The first attempt is accepted and not answered, and Twilio does not list it. The second one has this answer. */
  async function attemptTwice(answer: Fault, companyPhoneNumber: string): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource, { companyPhoneNumber });
    application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
    application.twilio.failNext({ on: 'create', fault: answer });
    await policyFailure(application, twilioSid);
    await until('two attempts', () => attemptsFor(application, twilioSid).length === 2);
    return twilioSid;
  }

  /** The SMS of the first attempt reports itself later. */
  async function reportFirst(messageSid: string): Promise<void> {
    const [sms] = smsFor(application, messageSid);
    const { statusCallback: url = '', sid = '', to = '', from = '' } = sms ?? {};
    const parameters = smsStatusParameters({ messageSid: sid, status: 'delivered', to, from });
    expect(await application.twilio.sendCallback({ url, parameters })).toMatchObject({ status: 204 });
  }

  it('is adopted by its callback while Twilio refuses for now, and nothing is sent again', async () => {
    const sid = await attemptTwice(REFUSED_FOR_NOW, '+15557770001');
    const waiting = await until('the second attempt to be recorded', async () => {
      const fallback = await findFallback(application, sid);
      return fallback?.reason === 'twilio_unavailable' && fallback;
    });
    await reportFirst(sid);
    await attemptNow(application, waiting.id);
    expect(await expectOneSms(application, sid)).toMatchObject({ attempts: 2, unansweredAttempts: 0 });
  });

  it('leaves the fallback in doubt if Twilio rejects it, until its callback reports that it was sent', async () => {
    const sid = await attemptTwice(OPTED_OUT, '+15557770002');
    expect(await untilFallbackEnds(application, sid)).toMatchObject({
      state: 'failed',
      reason: 'no_answer_from_twilio',
      lastErrorCode: '21610',
    });
    const stalled = application.app.get(StalledFallbacks);
    await stalled.runOnce();
    expect(await findFallback(application, sid)).toMatchObject({ state: 'failed' });
    await reportFirst(sid);
    await stalled.runOnce();
    expect(await expectOneSms(application, sid)).toMatchObject({ attempts: 2 });
  });
});

describe('a delayed fallback', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ simulator: { callbackPlan: silent } });
  });

  afterAll(() => application.close());

  async function goOnWith(row: Partial<SmsFallback>): Promise<string> {
    const message = await seedMessage(application.dataSource);
    const id = await leaveBehind(application, message, row);
    await attemptNow(application, id);
    return message.twilioSid;
  }

  it('finds the SMS of any unanswered attempt, not only of the last', async () => {
    const message = await seedMessage(application.dataSource);
    const id = await leaveBehind(application, message, {
      state: 'uncertain',
      attempts: 3,
      unansweredAttempts: 3,
      createdAt: minutesAgo(6),
      unansweredSince: minutesAgo(5),
      attemptStartedAt: minutesAgo(1),
    });
    const { sid } = application.twilio.addMessage({
      to: recipientOf(message.twilioSid),
      from: message.companyPhoneNumber ?? '',
      body: message.body ?? '',
      dateCreated: minutesAgo(5),
    });
    await attemptNow(application, id);
    expect(await untilFallbackEnds(application, message.twilioSid)).toMatchObject({
      state: 'sent',
      smsMessageSid: sid,
      attempts: 3,
    });
  });

  it('sends no SMS that would come hours too late', async () => {
    const sid = await goOnWith({ state: 'claimed', createdAt: minutesAgo(241) });
    expect(await untilFallbackEnds(application, sid)).toMatchObject({ state: 'skipped', reason: 'too_late' });
    expect(attemptsFor(application, sid)).toEqual([]);
  });

  it('ends an erased and reopened fallback without an SMS', async () => {
    const sid = await goOnWith({
      state: 'uncertain',
      attempts: 1,
      unansweredAttempts: 1,
      toNumber: null,
      body: null,
      erasedAt: minutesAgo(1),
    });
    expect(await untilFallbackEnds(application, sid)).toMatchObject({
      state: 'failed',
      reason: 'no_answer_from_twilio',
    });
    expect(attemptsFor(application, sid)).toEqual([]);
  });

  it('repeats no SMS that would come hours too late', async () => {
    const sid = await goOnWith({
      state: 'uncertain',
      attempts: 1,
      unansweredAttempts: 1,
      createdAt: minutesAgo(241),
      attemptStartedAt: minutesAgo(2),
    });
    expect(await untilFallbackEnds(application, sid)).toMatchObject({
      state: 'failed',
      reason: 'no_answer_from_twilio',
    });
    expect(attemptsFor(application, sid)).toEqual([]);
  });
});

describe('an SMS whose row the application’s messages refuses for now', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  it('is recorded as sent, and gets its row once the table accepts it', async () => {
    await application.query(
      `create function is_locked() returns trigger language plpgsql as $$
       begin raise exception 'somebody has it' using errcode = 'lock_not_available'; end $$`,
    );
    await application.query(
      `create trigger is_locked before insert on messages for each row when (new.channel = 'sms') execute function is_locked()`,
    );
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    expect(await untilFallbackEnds(application, twilioSid)).toMatchObject({ state: 'sent' });
    await until('the problem to be noted', async () => {
      const fallback = await findFallback(application, twilioSid);
      return fallback?.lastError?.includes('somebody has it') === true && fallback.messageId === null;
    });

    await application.query('drop function is_locked cascade');
    await untilQueueIsEmpty(application);
    await application.twilio.settled();
    await followAgainNow(application);
    const [sms] = await application.query(
      `select messages.id, status from messages join sms_fallbacks on message_id = messages.id
        where original_message_sid = $1`,
      [twilioSid],
    );
    expect(sms).toMatchObject({ status: 'delivered' });
    expect(
      await application.query('select id from message_events where fallback_sms_message_id = $1', [sms?.id]),
    ).toHaveLength(1);
    expect(await findFallback(application, twilioSid)).toMatchObject({ state: 'sent', lastError: null });
  });
});

describe('an SMS that was accepted after another one for the same message', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  it('is reported in the log and in the fallback, which keeps the first', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    const again = {
      outcome: 'accepted',
      messageSid: fallback.smsMessageSid ?? '',
      status: 'queued',
    } as const;
    const second = { ...again, messageSid: 'SMsecond' };
    const outcomes = application.app.get(FallbackOutcomes);
    expect(await outcomes.record(fallback, again)).toBe('ended_before');
    expect(await findFallback(application, twilioSid)).toMatchObject({ lastError: null });
    expect(await outcomes.record(fallback, second)).toBe('second_sms');
    expect(await findFallback(application, twilioSid)).toMatchObject({
      state: 'sent',
      smsMessageSid: fallback.smsMessageSid,
      lastError: 'Twilio has accepted a second SMS: SMsecond',
    });
  });
});
