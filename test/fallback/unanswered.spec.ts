import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { delivered, silent } from '../../simulator/callback-plan.js';
import type { Fault } from '../../simulator/faults.js';
import { Message } from '../../src/messages/message.entity.js';
import { TestApplication } from '../support/application.js';
import {
  attemptsFor,
  findFallback,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  withFallbackOptions,
  withTwilioTimeout,
} from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

const SETTLING_MILLISECONDS = 2_000;

const accepted: readonly Fault[] = [
  { type: 'hangAfterAccepting' },
  { type: 'resetAfterAccepting' },
  { type: 'errorAfterAccepting', status: 500 },
];
const notAccepted: readonly Fault[] = [
  { type: 'hangBeforeAccepting' },
  { type: 'resetBeforeAccepting' },
  { type: 'error', status: 503, code: 20503 },
];

describe('an SMS whose sending Twilio did not answer', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      override: (builder) =>
        withTwilioTimeout(300)(withFallbackOptions({ settlingMilliseconds: SETTLING_MILLISECONDS })(builder)),
    });
  });

  afterEach(() => {
    application.twilio.callbackPlan = delivered;
    application.twilio.listDelayMilliseconds = 0;
  });

  afterAll(() => application.close());

  async function fallBack(fault: Fault): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    application.twilio.failNext({ on: 'create', fault });
    await policyFailure(application, twilioSid);
    return twilioSid;
  }

  function looksFor(messageSid: string): Date[] {
    return application.twilio.requests
      .filter(({ method, parameters }) => method === 'GET' && parameters['To'] === recipientOf(messageSid))
      .map(({ time }) => time);
  }

  async function expectAdopted(messageSid: string): Promise<void> {
    const fallback = await untilAllIsDone(application, messageSid);
    expect(attemptsFor(application, messageSid)).toHaveLength(1);
    expect(smsFor(application, messageSid).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1, reason: null });
    const sms = await application.dataSource.manager.findOneByOrFail(Message, {
      id: fallback.messageId ?? '',
    });
    expect(sms).toMatchObject({ twilioSid: fallback.smsMessageSid, channel: 'sms' });
  }

  it.each(accepted)('is recognized by its own callback, after $type (traps 6 and 7)', async (fault) => {
    application.twilio.listDelayMilliseconds = Infinity;
    const messageSid = await fallBack(fault);
    await expectAdopted(messageSid);
    expect(looksFor(messageSid)).toEqual([]);
    const [sms] = smsFor(application, messageSid);
    const [row] = await application.query('select status from messages where twilio_sid = $1', [sms?.sid]);
    expect(row).toEqual({ status: 'delivered' });
  });

  it.each(accepted)('is recognized in Twilio’s list, after $type without callbacks', async (fault) => {
    application.twilio.callbackPlan = silent;
    const messageSid = await fallBack(fault);
    await expectAdopted(messageSid);
    expect(looksFor(messageSid)).not.toEqual([]);
  });

  it('is not sent again while Twilio’s list cannot be had, however long that is', async () => {
    application.twilio.callbackPlan = silent;
    let isAway = true;
    const fault = { type: 'error', status: 500, code: 20500 } as const;
    application.twilio.failNext({ on: 'list', times: Infinity, when: () => isAway, fault });
    const messageSid = await fallBack({ type: 'resetAfterAccepting' });
    await until('a look after the settling time', async () => {
      const fallback = await findFallback(application, messageSid);
      const settled = (fallback?.attemptStartedAt?.getTime() ?? Infinity) + SETTLING_MILLISECONDS;
      return looksFor(messageSid).some((time) => time.getTime() > settled) && fallback?.lockedUntil === null;
    });
    expect(await findFallback(application, messageSid)).toMatchObject({
      state: 'uncertain',
      reason: 'no_answer_from_twilio',
      lastErrorCode: '20500',
    });
    isAway = false;
    await expectAdopted(messageSid);
  });

  it.each(notAccepted)(
    'is sent again after $type, once the settling time has shown that it was not accepted (trap 7)',
    async (fault) => {
      const messageSid = await fallBack(fault);
      const fallback = await untilAllIsDone(application, messageSid);
      expect(fallback).toMatchObject({ state: 'sent', attempts: 2 });
      expect(smsFor(application, messageSid).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
      const [first, second, ...more] = attemptsFor(application, messageSid).map(({ time }) => time.getTime());
      expect(more).toEqual([]);
      expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(SETTLING_MILLISECONDS);
    },
  );
});
