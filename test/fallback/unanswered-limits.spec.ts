import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { silent } from '../../simulator/callback-plan.js';
import type { FallbackModuleOptions } from '../../src/fallback/fallback.module-definition.js';
import { TestApplication } from '../support/application.js';
import {
  attemptsFor,
  findFallback,
  policyFailure,
  smsFor,
  untilAllIsDone,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

describe('an SMS that Twilio never answers and never lists', () => {
  let application: TestApplication;
  const options: FallbackModuleOptions = { settlingMilliseconds: 0 };

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: { callbackPlan: silent },
      override: withFallbackOptions(options),
    });
  });

  afterAll(() => application.close());

  it('fails after Twilio was unavailable for so long, and is not sent again', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
    const fault = { type: 'error', status: 500, code: 20500 } as const;
    application.twilio.failNext({ on: 'list', times: Infinity, fault });
    await policyFailure(application, twilioSid);
    await until('a look in vain', async () => {
      const { state, lastErrorCode } = (await findFallback(application, twilioSid)) ?? {};
      return state === 'uncertain' && lastErrorCode === '20500';
    });
    options.giveUpAfterMilliseconds = 0;
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(fallback).toMatchObject({
      state: 'failed',
      reason: 'no_answer_from_twilio',
      lastErrorCode: '20500',
      attempts: 1,
    });
    expect(smsFor(application, twilioSid)).toHaveLength(1);
    expect(attemptsFor(application, twilioSid)).toHaveLength(1);
  });
});

describe('an SMS that Twilio sometimes refuses and sometimes does not answer', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: { callbackPlan: silent },
      override: withFallbackOptions({ settlingMilliseconds: 0 }),
    });
  });

  afterAll(() => application.close());

  it('is sent at most five times without an answer', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    application.twilio.failNext({ on: 'create', times: 5, fault: { type: 'resetBeforeAccepting' } });
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(fallback).toMatchObject({
      state: 'failed',
      reason: 'no_answer_from_twilio',
      lastErrorCode: 'ECONNRESET',
      attempts: 5,
    });
    expect(attemptsFor(application, twilioSid)).toHaveLength(5);
  });

  it('is sent more than five times in all, because a refusal is an answer', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const unanswered = { type: 'resetBeforeAccepting' } as const;
    const refused = { type: 'error', status: 429, code: 20429 } as const;
    for (const fault of [unanswered, unanswered, refused, unanswered, unanswered]) {
      application.twilio.failNext({ on: 'create', fault });
    }
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 6 });
    expect(smsFor(application, twilioSid)).toHaveLength(1);
  });
});

describe('an SMS that Twilio lists late', () => {
  it('is looked for until it is listed, and not sent again before the settling time', async () => {
    const application = await TestApplication.start({
      simulator: { callbackPlan: silent, listDelayMilliseconds: Infinity },
    });
    try {
      const { twilioSid } = await seedMessage(application.dataSource);
      application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
      await policyFailure(application, twilioSid);
      await until('two looks in vain', () => {
        const looks = application.twilio.requests.filter(({ method }) => method === 'GET');
        return looks.length >= 2;
      });
      application.twilio.listDelayMilliseconds = 0;
      const fallback = await untilAllIsDone(application, twilioSid);
      expect(fallback).toMatchObject({ state: 'sent', attempts: 1 });
      expect(smsFor(application, twilioSid).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
    } finally {
      await application.close();
    }
  });
});
