import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { delivered, silent } from '../../simulator/callback-plan.js';
import type { Fault } from '../../simulator/faults.js';
import type { FallbackModuleOptions } from '../../src/fallback/fallback.module-definition.js';
import { Message } from '../../src/messages/message.entity.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
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

const SETTLING_MILLISECONDS = 600_000;

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
  const options: FallbackModuleOptions = { settlingMilliseconds: SETTLING_MILLISECONDS };

  beforeAll(async () => {
    application = await TestApplication.start({
      override: (builder) => withTwilioTimeout()(withFallbackOptions(options)(builder)),
    });
  });

  afterEach(() => {
    options.settlingMilliseconds = SETTLING_MILLISECONDS;
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

  /** Requests for Twilio's list of the SMS to this message's recipient. */
  function looksFor(messageSid: string): number {
    return application.twilio.requests.filter(
      ({ method, parameters }) => method === 'GET' && parameters['To'] === recipientOf(messageSid),
    ).length;
  }

  /** Starts one more look now, and waits until it has ended without a finding. */
  async function lookInVain(messageSid: string): Promise<void> {
    const { id } = await until('the last look to end', async () => {
      const fallback = await findFallback(application, messageSid);
      return fallback?.state === 'uncertain' && fallback.lockedUntil === null && fallback;
    });
    const before = looksFor(messageSid);
    await attemptNow(application, id);
    await until('one more look in vain', async () => {
      const fallback = await findFallback(application, messageSid);
      return (
        looksFor(messageSid) > before && fallback?.state === 'uncertain' && fallback.lockedUntil === null
      );
    });
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

  it.each(accepted)('is recognized by its own callback and not sent again after $type', async (fault) => {
    application.twilio.listDelayMilliseconds = Infinity;
    const messageSid = await fallBack(fault);
    // Twilio's list never shows it.
    await expectAdopted(messageSid);
    const [sms] = smsFor(application, messageSid);
    const [row] = await application.query('select status from messages where twilio_sid = $1', [sms?.sid]);
    expect(row).toEqual({ status: 'delivered' });
  });

  it.each(accepted)('is recognized in Twilio’s list, after $type without callbacks', async (fault) => {
    application.twilio.callbackPlan = silent;
    const messageSid = await fallBack(fault);
    await expectAdopted(messageSid);
    expect(looksFor(messageSid)).toBeGreaterThan(0);
  });

  it('is not sent again while Twilio’s list is unavailable, however long that is', async () => {
    application.twilio.callbackPlan = silent;
    let isAway = true;
    const fault = { type: 'error', status: 500, code: 20500 } as const;
    application.twilio.failNext({ on: 'list', times: Infinity, when: () => isAway, fault });
    const messageSid = await fallBack({ type: 'resetAfterAccepting' });
    await lookInVain(messageSid);
    options.settlingMilliseconds = 0;
    await lookInVain(messageSid);
    expect(await findFallback(application, messageSid)).toMatchObject({
      state: 'uncertain',
      reason: 'no_answer_from_twilio',
      lastErrorCode: '20500',
    });
    isAway = false;
    await expectAdopted(messageSid);
  });

  it.each(notAccepted)(
    'is sent again after $type only once the settling time shows that it was not accepted',
    async (fault) => {
      const messageSid = await fallBack(fault);
      await lookInVain(messageSid);
      await lookInVain(messageSid);
      expect(attemptsFor(application, messageSid)).toHaveLength(1);
      options.settlingMilliseconds = 0;
      await attemptNow(application, (await findFallback(application, messageSid))?.id ?? '');
      const fallback = await untilAllIsDone(application, messageSid);
      expect(fallback).toMatchObject({ state: 'sent', attempts: 2 });
      expect(smsFor(application, messageSid).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
      expect(attemptsFor(application, messageSid)).toHaveLength(2);
    },
  );
});
