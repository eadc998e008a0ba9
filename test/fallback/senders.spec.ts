import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { TestApplication } from '../support/application.js';
import { attemptsFor, DEFAULT_FROM, policyFailure, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';

const COMPANY = '+15557770001';

describe('the sender of the SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  beforeEach(() => {
    application.twilio.refusedSenders.clear();
  });

  afterAll(() => application.close());

  async function fallBack(
    companyPhoneNumber: string,
  ): Promise<[from: readonly unknown[], fallback: SmsFallback, sid: string]> {
    const { twilioSid } = await seedMessage(application.dataSource, { companyPhoneNumber });
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    const from = attemptsFor(application, twilioSid).map(({ parameters }) => parameters['From']);
    return [from, fallback, twilioSid];
  }

  it.each(['whatsapp:+15557770001', '+1 (555) 777-0001', '15557770001', ' tel:+1.555.777.0001 '])(
    'is the company’s number written as %j',
    async (stored) => {
      const [from, fallback] = await fallBack(stored);
      expect(from).toEqual([COMPANY]);
      expect(fallback).toMatchObject({ state: 'sent', fromNumber: COMPANY, earlierAttempts: [] });
    },
  );

  it.each(['EXAMPLE', '12345', 'whatsapp:US.13491208655302741918', '+1555777XXXX', '555 777 0001'])(
    'is the default one if the company’s is %j, which is no phone number',
    async (stored) => {
      const [from] = await fallBack(stored);
      expect(from).toEqual([DEFAULT_FROM]);
    },
  );

  it.each([21606, 21612, 21660, 21659, 21661, 21212, 21910])(
    'is the default one, once, if Twilio refuses the company’s with %i',
    async (code) => {
      application.twilio.refusedSenders.set(COMPANY, { code });
      const [from, fallback, sid] = await fallBack(COMPANY);
      expect(from).toEqual([COMPANY, DEFAULT_FROM]);
      expect(smsFor(application, sid)).toHaveLength(1);
      expect(fallback).toMatchObject({ state: 'sent', attempts: 2, fromNumber: DEFAULT_FROM });
      expect(fallback.earlierAttempts).toMatchObject([
        { from: COMPANY, outcome: 'sender_refused', code: String(code), smsMessageSid: null },
      ]);
    },
  );

  it('fails if neither can send, and both attempts are recorded', async () => {
    application.twilio.refusedSenders.set(COMPANY, { code: 21606 });
    application.twilio.refusedSenders.set(DEFAULT_FROM, { code: 21612 });
    const [from, fallback] = await fallBack(COMPANY);
    expect(from).toEqual([COMPANY, DEFAULT_FROM]);
    expect(fallback).toMatchObject({ state: 'failed', reason: 'rejected_by_twilio', lastErrorCode: '21612' });
    expect(fallback.earlierAttempts).toMatchObject([
      { from: COMPANY, code: '21606' },
      { from: DEFAULT_FROM, code: '21612' },
    ]);
  });

  it.each([21610, 21211, 21614, 21408])('stays the same after %i, which is not its fault', async (code) => {
    application.twilio.refusedSenders.set(COMPANY, { code });
    const [from, fallback] = await fallBack(COMPANY);
    expect(from).toEqual([COMPANY]);
    expect(fallback).toMatchObject({ state: 'failed', lastErrorCode: String(code), earlierAttempts: [] });
  });

  it('is tried once if the company’s number is the default one', async () => {
    application.twilio.refusedSenders.set(DEFAULT_FROM, { code: 21606 });
    const [from, fallback] = await fallBack(DEFAULT_FROM);
    expect(from).toEqual([DEFAULT_FROM]);
    expect(fallback).toMatchObject({ state: 'failed', reason: 'rejected_by_twilio' });
  });
});
