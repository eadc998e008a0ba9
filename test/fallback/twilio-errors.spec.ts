import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
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

describe('an SMS that Twilio refuses', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  it.each([21211, 21408, 21610, 21614, 21617])(
    'is not sent again, and the fallback fails with its code: %i',
    async (code) => {
      const { twilioSid } = await seedMessage(application.dataSource);
      const fault = { type: 'error', status: 400, code, message: `Refused with ${code}` } as const;
      application.twilio.failNext({ on: 'create', fault });
      await policyFailure(application, twilioSid);
      const fallback = await untilAllIsDone(application, twilioSid);
      expect(fallback).toMatchObject({
        state: 'failed',
        reason: 'rejected_by_twilio',
        lastErrorCode: String(code),
        attempts: 1,
        smsMessageSid: null,
      });
      expect(fallback.lastError).toContain(`Refused with ${code}`);
      expect(attemptsFor(application, twilioSid)).toHaveLength(1);
    },
  );

  it('ends with a message that PostgreSQL could not store', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const message = 'Refused \ud83d \0 text';
    application.twilio.failNext({
      on: 'create',
      fault: { type: 'error', status: 400, code: 21211, message },
    });
    await policyFailure(application, twilioSid);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({
      state: 'failed',
      lastError: expect.stringContaining('Refused \ufffd \ufffd text'),
    });
  });

  it.each([
    { status: 401, code: 20003 },
    { status: 400, code: 30017 },
  ])('is sent again after HTTP $status and code $code', async (error) => {
    const { twilioSid } = await seedMessage(application.dataSource);
    let isRefusing = true;
    const fault = { type: 'error', ...error } as const;
    application.twilio.failNext({ on: 'create', times: Infinity, when: () => isRefusing, fault });
    await policyFailure(application, twilioSid);
    const waiting = await postponed(twilioSid);
    expect(waiting.lastErrorCode).toBe(String(error.code));
    isRefusing = false;
    await expectSentInTheEnd(twilioSid);
  });

  function postponed(messageSid: string) {
    return until('the fallback to be postponed', async () => {
      const fallback = await findFallback(application, messageSid);
      return fallback?.reason === 'twilio_unavailable' && fallback;
    });
  }

  async function expectSentInTheEnd(messageSid: string): Promise<void> {
    const fallback = await untilAllIsDone(application, messageSid);
    expect(fallback).toMatchObject({ state: 'sent', reason: null });
    expect(fallback.attempts).toBeGreaterThanOrEqual(2);
    expect(attemptsFor(application, messageSid)).toHaveLength(fallback.attempts);
    expect(smsFor(application, messageSid)).toHaveLength(1);
  }
});

describe('an SMS while Twilio is unreachable', () => {
  it('is tried again until Twilio is back, and sent once', async () => {
    const gone = await TwilioSimulator.start();
    const { baseUrl } = gone;
    await gone.close();
    const application = await TestApplication.start({ env: { TWILIO_API_BASE_URL: baseUrl } });
    try {
      const { twilioSid } = await seedMessage(application.dataSource);
      await policyFailure(application, twilioSid);
      await until('the connection to be refused', async () => {
        const fallback = await findFallback(application, twilioSid);
        return fallback?.reason === 'twilio_unavailable' && fallback.lastErrorCode === 'ECONNREFUSED';
      });
      const back = await TwilioSimulator.start({
        port: Number(new URL(baseUrl).port),
        rewriteUrl: (url) => url.replace('https://hooks.example.com', application.origin),
      });
      try {
        const fallback = await untilAllIsDone(application, twilioSid);
        await back.settled();
        expect(back.messages.map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
        expect(fallback.state).toBe('sent');
      } finally {
        await back.close();
      }
    } finally {
      await application.close();
    }
  });

  it('is given up after the configured time, with Twilio’s last error', async () => {
    const options: FallbackModuleOptions = {};
    const application = await TestApplication.start({ override: withFallbackOptions(options) });
    try {
      const fault = { type: 'error', status: 429, code: 20429 } as const;
      application.twilio.failNext({ on: 'create', times: Infinity, fault });
      const { twilioSid } = await seedMessage(application.dataSource);
      await policyFailure(application, twilioSid);
      await until('two attempts', () => attemptsFor(application, twilioSid).length >= 2);
      options.giveUpAfterMilliseconds = 0;
      const fallback = await untilAllIsDone(application, twilioSid);
      expect(fallback).toMatchObject({
        state: 'failed',
        reason: 'twilio_unavailable',
        lastErrorCode: '20429',
      });
      expect(fallback.attempts).toBeGreaterThanOrEqual(2);
      expect(attemptsFor(application, twilioSid)).toHaveLength(fallback.attempts);
    } finally {
      await application.close();
    }
  });
});
