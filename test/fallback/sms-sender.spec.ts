import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { silent } from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import type { Fault } from '../../simulator/faults.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { type AcceptedSms, type Sms, SmsSender } from '../../src/fallback/sms-sender.js';
import { TwilioSmsSender } from '../../src/fallback/twilio-sms-sender.js';
import { TwilioAccounts } from '../../src/twilio/twilio-accounts.js';
import { InMemorySmsSender } from '../../testing/in-memory-sms-sender.js';
import { smsSenderConformance, type SmsSenderSetup } from '../../testing/sms-sender-conformance.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import {
  policyFailure,
  recipientOf,
  TWILIO_TIMEOUT_MILLISECONDS,
  untilAllIsDone,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';

const sms = {
  reference: 'the fallback',
  originalMessageSid: `SM${'0'.repeat(32)}`,
  accountSid: demoAccount.sid,
  from: '+15550001111',
  messagingServiceSid: null,
  validityPeriodSeconds: 3_600,
  statusCallbackUrl: WEBHOOK_URL,
};

async function openTwilio(sent: SmsSenderSetup['sms']): Promise<SmsSenderSetup> {
  const twilio = await TwilioSimulator.start({ callbackPlan: silent });
  const accounts = new TwilioAccounts({
    accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
    apiBaseUrl: twilio.baseUrl,
    timeoutMilliseconds: TWILIO_TIMEOUT_MILLISECONDS,
  });
  const failCreate = (fault: Fault) => () => {
    twilio.failNext({ on: 'create', fault });
  };
  return {
    sender: new TwilioSmsSender(accounts),
    sms: sent,
    acceptedFor: (to) => twilio.messages.filter((message) => message.to === to).map(({ body }) => body),
    rejectNext: failCreate({ type: 'error', status: 400, code: 21610 }),
    refuseNextForNow: failCreate({ type: 'error', status: 429, code: 20429 }),
    loseNextAnswer: failCreate({ type: 'resetAfterAccepting' }),
    hangNext: failCreate({ type: 'hangBeforeAccepting' }),
    failNextLook: () => {
      twilio.failNext({ on: 'list', fault: { type: 'error', status: 500, code: 20500 } });
    },
    hideFromNow: () => {
      twilio.redaction = 'both';
    },
    close: () => twilio.close(),
  };
}

describe('TwilioSmsSender as an SmsSender', () => {
  for (const { name, run } of smsSenderConformance(() => openTwilio(sms))) it(name, run);
});

describe('TwilioSmsSender with a Messaging Service as an SmsSender', () => {
  const service = { ...sms, from: null, messagingServiceSid: `MG${'7'.repeat(32)}` };
  for (const { name, run } of smsSenderConformance(() => openTwilio(service))) it(name, run);
});

describe('TwilioSmsSender', () => {
  const appointment = 'Your appointment is tomorrow at 10:00.';

  it.each([
    [
      'put its notice of a trial account in front of',
      appointment,
      `Sent from your Twilio trial account - ${appointment}`,
    ],
    [
      'wrote with other characters, by the Smart Encoding of a Messaging Service',
      'It’s tomorrow – at “Example Clinic”…',
      `It's tomorrow - at "Example Clinic"...`,
    ],
  ])('finds an SMS that Twilio %s', async (_, body, listed) => {
    const twilio = await TwilioSimulator.start({ callbackPlan: silent });
    try {
      const accounts = new TwilioAccounts({
        accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
        apiBaseUrl: twilio.baseUrl,
      });
      const { sid } = twilio.addMessage({ to: '+15557654321', from: sms.from, body: listed });
      const found = await new TwilioSmsSender(accounts).findAccepted(
        { ...sms, to: '+15557654321', body },
        new Date(),
      );
      expect(found.accepted.map(({ messageSid }) => messageSid)).toEqual([sid]);
    } finally {
      await twilio.close();
    }
  });
});

describe('TwilioSmsSender with message redaction of numbers or texts', () => {
  const lost = { ...sms, to: '+15550107001', body: 'Your appointment is tomorrow.' };
  const { to, from, body } = lost;
  const aMinuteAgo = () => new Date(Date.now() - 60_000);
  let twilio: TwilioSimulator;
  let sender: TwilioSmsSender;

  beforeAll(async () => {
    twilio = await TwilioSimulator.start({ callbackPlan: silent });
    const accounts = new TwilioAccounts({
      accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
      apiBaseUrl: twilio.baseUrl,
    });
    sender = new TwilioSmsSender(accounts);
  });

  beforeEach(() => {
    twilio.forget();
    twilio.redaction = 'none';
  });

  afterAll(() => twilio.close());

  async function search(wanted: Partial<Sms> = {}) {
    const { accepted, possible, complete } = await sender.findAccepted({ ...lost, ...wanted }, aMinuteAgo());
    const sids = (found: readonly AcceptedSms[]) => found.map(({ messageSid }) => messageSid);
    return { accepted: sids(accepted), possible: sids(possible), complete };
  }

  const nothing = { accepted: [], possible: [], complete: true };

  it.each(['numbers', 'bodies', 'both'] as const)(
    'does not mistake another SMS for the one it looks for: %s',
    async (hidden) => {
      const { sid } = twilio.addMessage({ to, from, body });
      expect(await search()).toEqual({ ...nothing, accepted: [sid] });
      twilio.redaction = hidden;
      expect(await search()).toEqual({ ...nothing, possible: [sid] });
    },
  );

  it('says that an SMS is possible whichever digits of its number are hidden', async () => {
    const digits = to.slice(1);
    const hidden = fc.record({
      plus: fc.constantFrom('+', ''),
      mask: fc.constantFrom('X', 'x', '*', '#', '•'),
      positions: fc.uniqueArray(fc.nat(digits.length - 1), { minLength: 1 }),
    });
    const numbers = hidden.map(
      ({ plus, mask, positions }) =>
        plus + digits.replaceAll(/\d/g, (digit, index: number) => (positions.includes(index) ? mask : digit)),
    );
    await fc.assert(
      fc.asyncProperty(numbers, async (number) => {
        twilio.forget();
        const { sid } = twilio.addMessage({ to: number, from, body });
        expect(await search()).toEqual({ ...nothing, possible: [sid] });
      }),
      {
        numRuns: 40,
        examples: [['+1555010XXXX'], ['+X5550107XXX'], ['+1 (555) 010-XXXX'], ['+1555*****'], ['']],
      },
    );
  });

  it.each([
    ['another masked number', { to: '+1555011XXXX' }],
    ['another number whose end is shown', { to: '+1555XXX7002' }],
    ['a number that is not hidden', { to: '+15550107002' }],
    ['a user ID', { to: 'US.1555010X7001' }],
    ['a WhatsApp message', { to: 'whatsapp:+1555010XXXX' }],
    ['another text', { to: '+1555010XXXX', body: 'Your invoice is due.' }],
    ['a picture', { to, body: '', mediaCount: 1 }],
    ['another sender', { to: '+1555010XXXX', from: '+15550002222' }],
    ['a time before the attempt', { to: '+1555010XXXX', dateCreated: new Date(Date.now() - 600_000) }],
  ])('knows that an SMS is another one by %s', async (_, other) => {
    twilio.addMessage({ from, body, ...other });
    expect(await search()).toEqual(nothing);
  });

  it('compares the Messaging Service if that picks the sender', async () => {
    const [ours, another] = [`MG${'1'.repeat(32)}`, `MG${'2'.repeat(32)}`];
    const masked = { to: '+1555010XXXX', from: '+15550003333', body: '' };
    const { sid } = twilio.addMessage({ ...masked, messagingServiceSid: ours });
    twilio.addMessage({ ...masked, messagingServiceSid: another });
    twilio.addMessage(masked);
    const found = await search({ from: null, messagingServiceSid: ours });
    expect(found).toEqual({ ...nothing, possible: [sid] });
  });

  it.each([
    ['does not trust', '+1555019XXXX', 0, false],
    ['does not trust, of WhatsApp either,', 'whatsapp:+1555019XXXX', 0, false],
    ['trusts', '+1555019XXXX', 120_000, true],
    ['trusts', '+15550190000', 0, true],
  ])('%s a list that is full of messages to %s of %i ms ago', async (_, full, age, complete) => {
    const dateCreated = new Date(Date.now() - age);
    for (let index = 0; index < 200; index += 1)
      twilio.addMessage({ to: full, from, body: 'Hi', dateCreated });
    expect(await search()).toEqual({ ...nothing, complete });
  });
});

describe('an SmsSender of another team', () => {
  const sender = new InMemorySmsSender();
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      override: (builder) =>
        withFallbackOptions({ settlingMilliseconds: 0 })(builder)
          .overrideProvider(SmsSender)
          .useValue(sender),
    });
  });

  beforeEach(() => {
    sender.sms.length = 0;
    jest.restoreAllMocks();
  });

  afterAll(() => application.close());

  it('sends the SMS instead of Twilio, and the tables record it in the same way', async () => {
    const { twilioSid, body, companyPhoneNumber } = await seedMessage(application.dataSource);
    sender.loseNextAnswer();
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(sender.sms).toMatchObject([{ to: recipientOf(twilioSid), from: companyPhoneNumber, body }]);
    expect(fallback).toMatchObject({
      state: 'sent',
      attempts: 1,
      smsMessageSid: sender.sms[0]?.messageSid,
    });
    // The service asks Twilio when the original was sent, and nothing else.
    expect(application.twilio.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('gets the fallback’s id as the key of an SMS, the same one while an attempt is in doubt', async () => {
    const calls = [jest.spyOn(sender, 'send'), jest.spyOn(sender, 'findAccepted')];
    const { twilioSid } = await seedMessage(application.dataSource);
    sender.refuseNextForNow();
    sender.hangNext();
    await policyFailure(application, twilioSid);
    const { id } = await untilAllIsDone(application, twilioSid);
    const [sent, searched] = calls.map((call) => call.mock.calls.map(([sms]) => sms));
    const key = { reference: id, originalMessageSid: twilioSid };
    expect(sent).toMatchObject([key, key, key]);
    expect(searched?.length).toBeGreaterThan(0);
    for (const sms of searched ?? []) expect(sms).toMatchObject(key);
  });

  it('gets another key after an attempt that has failed for certain', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const send = jest.spyOn(sender, 'send');
    // The sender cannot send SMS, so the default one is tried.
    sender.rejectNext({ code: '21606' });
    await policyFailure(application, twilioSid);
    const { id } = await untilAllIsDone(application, twilioSid);
    expect(send.mock.calls.map(([{ reference }]) => reference)).toEqual([id, `${id}:2`]);
  });
});
