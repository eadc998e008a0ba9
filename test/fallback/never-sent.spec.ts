import { afterEach, describe, expect, it } from '@jest/globals';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { type CallbackPlan, delivered, inOrder, neverSent, sequence } from '../../simulator/callback-plan.js';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { FallbackRetries } from '../../src/operations/fallback-retries.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import {
  attemptNow,
  findFallback,
  policyFailure,
  smsFor,
  untilAllIsDone,
  untilFallbackIs,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

describe('an SMS that Twilio accepted and never sent', () => {
  let application: TestApplication;

  afterEach(() => application.close());

  async function start(callbackPlan: CallbackPlan, resendDelayMilliseconds = 0): Promise<void> {
    application = await TestApplication.start({
      simulator: { callbackPlan },
      override: withFallbackOptions({ resendDelayMilliseconds }),
    });
  }

  async function fallBack(): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    return twilioSid;
  }

  /** Waits until every report of Twilio has had all its effects. */
  async function untilCalm(messageSid: string): Promise<SmsFallback> {
    await untilAllIsDone(application, messageSid);
    await application.twilio.settled();
    await untilQueueIsEmpty(application);
    await application.twilio.settled();
    return untilAllIsDone(application, messageSid);
  }

  it.each([30001, 30017, 30022, 30047, 30610])('is sent once more after %i', async (code) => {
    await start(sequence(neverSent(code), delivered));
    const sid = await fallBack();
    const fallback = await until('the second SMS', async () => {
      const found = await untilCalm(sid);
      return found.attempts === 2 && found.state === 'sent' && found;
    });
    const [first, second, ...others] = smsFor(application, sid);
    expect(others).toEqual([]);
    expect(fallback.smsMessageSid).toBe(second?.sid);
    expect(fallback.earlierAttempts).toMatchObject([
      { outcome: 'never_sent', code: String(code), smsMessageSid: first?.sid },
    ]);
  });

  it('is not sent a third time, and the fallback fails', async () => {
    await start(neverSent(30001));
    const sid = await fallBack();
    const fallback = await untilFallbackIs(application, sid, 'failed');
    expect(fallback).toMatchObject({ reason: 'never_sent', lastErrorCode: '30001', attempts: 2 });
    expect(await untilCalm(sid)).toMatchObject({ state: 'failed', reason: 'never_sent', attempts: 2 });
    expect(smsFor(application, sid)).toHaveLength(2);
  });

  it('can be retried by an operator, which sends one more SMS', async () => {
    await start(sequence(neverSent(30001), neverSent(30001), delivered));
    const sid = await fallBack();
    const { id } = await untilFallbackIs(application, sid, 'failed');
    await untilCalm(sid);
    expect(
      await application.app.get(FallbackRetries, { strict: false }).retry([id], { by: 'cli:tester@host' }),
    ).toMatchObject([{ decision: 'claimed_again' }]);
    expect(await untilCalm(sid)).toMatchObject({ state: 'sent', attempts: 3 });
    expect(smsFor(application, sid)).toHaveLength(3);
  });

  it.each([30003, 30005, 30007, 30008])(
    'is not assumed after %i, because the SMS may have arrived',
    async (code) => {
      await start(neverSent(code));
      const sid = await fallBack();
      expect(await untilCalm(sid)).toMatchObject({ state: 'sent', attempts: 1, earlierAttempts: [] });
      expect(smsFor(application, sid)).toHaveLength(1);
    },
  );

  it('is sent once more if its report comes before the answer to its POST', async () => {
    await start(sequence(neverSent(30001), delivered));
    application.twilio.failNext({ on: 'create', fault: { type: 'answerAfterCallbacks' } });
    const sid = await fallBack();
    await until('the second SMS', async () => (await untilCalm(sid)).attempts === 2);
    expect(await untilCalm(sid)).toMatchObject({ state: 'sent', attempts: 2 });
    expect(smsFor(application, sid)).toHaveLength(2);
  });

  it('is sent once more if the answer to its POST was lost', async () => {
    await start(sequence(neverSent(30001), delivered));
    application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
    const sid = await fallBack();
    await until('the second SMS', async () => (await untilCalm(sid)).attempts === 2);
    expect(await untilCalm(sid)).toMatchObject({ state: 'sent', attempts: 2 });
    expect(smsFor(application, sid)).toHaveLength(2);
  });

  it('is not sent again if it was delivered in the end', async () => {
    await start(inOrder({ status: 'delivered' }, { status: 'failed', errorCode: 30001 }));
    const sid = await fallBack();
    expect(await untilCalm(sid)).toMatchObject({ state: 'sent', attempts: 1 });
    expect(smsFor(application, sid)).toHaveLength(1);
  });

  it('is not sent again if its delivery is reported before the next attempt', async () => {
    await start(neverSent(30001), 600_000);
    const sid = await fallBack();
    const reopened = await until('the fallback to be opened again', async () => {
      const found = await findFallback(application, sid);
      return found?.reason === 'sms_never_sent' && found;
    });
    const [sms] = smsFor(application, sid);
    await application.twilio.sendCallback({
      url: `${WEBHOOK_URL}?sms_fallback_id=${reopened.id}`,
      parameters: smsStatusParameters({
        messageSid: sms?.sid ?? '',
        status: 'delivered',
        to: '+15557654321',
        from: '+15550001111',
      }),
    });
    await attemptNow(application, reopened.id);
    const fallback = await untilCalm(sid);
    expect(fallback).toMatchObject({
      state: 'sent',
      smsMessageSid: sms?.sid,
      attempts: 1,
      earlierAttempts: [],
    });
    expect(smsFor(application, sid)).toHaveLength(1);
  });

  it('is not sent again once the original is too old', async () => {
    await start(inOrder());
    const sid = await fallBack();
    const { id, smsMessageSid } = await untilCalm(sid);
    await application.query(
      `update sms_fallbacks set original_sent_at = original_sent_at - interval '5 hours' where id = $1`,
      [id],
    );
    await application.twilio.sendCallback({
      url: `${WEBHOOK_URL}?sms_fallback_id=${id}`,
      parameters: smsStatusParameters({
        messageSid: smsMessageSid ?? '',
        status: 'failed',
        errorCode: 30001,
        to: '+15557654321',
        from: '+15550001111',
      }),
    });
    expect(await untilFallbackIs(application, sid, 'failed')).toMatchObject({
      reason: 'never_sent',
      attempts: 1,
    });
    await untilCalm(sid);
    expect(smsFor(application, sid)).toHaveLength(1);
  });

  it('is sent from the default sender after 30034, which is the fault of the company’s number', async () => {
    await start(sequence(neverSent(30034), delivered));
    const sid = await fallBack();
    await until('the second SMS', async () => (await untilCalm(sid)).attempts === 2);
    expect(smsFor(application, sid).map(({ from }) => from)).toEqual(['+15550001111', '+15550009999']);
  });

  it('is sent once more even if many reports of it come at once', async () => {
    await start(sequence(inOrder(), delivered));
    const sid = await fallBack();
    const { id, smsMessageSid } = await untilCalm(sid);
    const report = (status: string) =>
      application.twilio.sendCallback({
        url: `${WEBHOOK_URL}?sms_fallback_id=${id}`,
        parameters: smsStatusParameters({
          messageSid: smsMessageSid ?? '',
          status,
          errorCode: 30001,
          to: '+15557654321',
          from: '+15550001111',
        }),
      });
    await Promise.all(['failed', 'undelivered', 'failed', 'undelivered'].map(report));
    await until('the second SMS', async () => (await untilCalm(sid)).attempts === 2);
    await report('failed');
    expect(await untilCalm(sid)).toMatchObject({ state: 'sent', attempts: 2 });
    expect(smsFor(application, sid)).toHaveLength(2);
    expect((await findFallback(application, sid))?.earlierAttempts).toHaveLength(1);
  });
});
