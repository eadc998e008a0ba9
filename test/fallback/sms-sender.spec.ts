import { describe, expect, it } from '@jest/globals';
import { silent } from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import type { Fault } from '../../simulator/faults.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { SmsSender } from '../../src/fallback/sms-sender.js';
import { TwilioSmsSender } from '../../src/fallback/twilio-sms-sender.js';
import { TwilioAccounts } from '../../src/twilio/twilio-accounts.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { policyFailure, recipientOf, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { InMemorySmsSender } from './in-memory-sms-sender.js';
import { type SmsSenderHarness, smsSenderSuite } from './sms-sender.suite.js';

const sms = {
  accountSid: demoAccount.sid,
  from: '+15550001111',
  messagingServiceSid: null,
  statusCallbackUrl: WEBHOOK_URL,
};

async function openTwilio(sent: SmsSenderHarness['sms']): Promise<SmsSenderHarness> {
  const twilio = await TwilioSimulator.start({ callbackPlan: silent });
  const accounts = new TwilioAccounts({
    accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
    apiBaseUrl: twilio.baseUrl,
    timeoutMilliseconds: 300,
  });
  const failCreate = (fault: Fault) => () => {
    twilio.failNext({ on: 'create', fault });
  };
  return {
    sender: new TwilioSmsSender(accounts, {}),
    sms: sent,
    acceptedFor: (to) => twilio.messages.filter((message) => message.to === to).map(({ body }) => body),
    rejectNext: failCreate({ type: 'error', status: 400, code: 21610 }),
    refuseNextForNow: failCreate({ type: 'error', status: 429, code: 20429 }),
    loseNextAnswer: failCreate({ type: 'resetAfterAccepting' }),
    hangNext: failCreate({ type: 'hangBeforeAccepting' }),
    failNextLook: () => {
      twilio.failNext({ on: 'list', fault: { type: 'error', status: 500, code: 20500 } });
    },
    close: () => twilio.close(),
  };
}

smsSenderSuite('TwilioSmsSender', () => openTwilio(sms));

smsSenderSuite('TwilioSmsSender with a Messaging Service', () =>
  openTwilio({ ...sms, from: null, messagingServiceSid: `MG${'7'.repeat(32)}` }),
);

smsSenderSuite('InMemorySmsSender', () => {
  const sender = new InMemorySmsSender();
  return Promise.resolve({
    sender,
    sms,
    acceptedFor: (to) => sender.accepted.filter((one) => one.sms.to === to).map((one) => one.sms.body),
    rejectNext: () => sender.troubles.push('rejected'),
    refuseNextForNow: () => sender.troubles.push('not_processed'),
    loseNextAnswer: () => sender.troubles.push('answer_lost'),
    hangNext: () => sender.troubles.push('no_answer'),
    failNextLook: () => {
      sender.canBeAsked = false;
    },
    close: () => Promise.resolve(),
  });
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
      const found = await new TwilioSmsSender(accounts, {}).findAccepted(
        { ...sms, to: '+15557654321', body },
        new Date(),
      );
      expect(found.map(({ messageSid }) => messageSid)).toEqual([sid]);
    } finally {
      await twilio.close();
    }
  });
});

describe('an SmsSender of another team', () => {
  it('sends the SMS in Twilio’s place, and the tables say so all the same', async () => {
    const sender = new InMemorySmsSender();
    const application = await TestApplication.start({
      override: (builder) => builder.overrideProvider(SmsSender).useValue(sender),
    });
    try {
      const { twilioSid, body, companyPhoneNumber } = await seedMessage(application.dataSource);
      sender.troubles.push('answer_lost');
      await policyFailure(application, twilioSid);
      const fallback = await untilAllIsDone(application, twilioSid);
      expect(sender.accepted).toMatchObject([
        { sms: { to: recipientOf(twilioSid), from: companyPhoneNumber, body } },
      ]);
      expect(fallback).toMatchObject({
        state: 'sent',
        attempts: 1,
        smsMessageSid: sender.accepted[0]?.result.messageSid,
      });
      expect(application.twilio.requests).toEqual([]);
    } finally {
      await application.close();
    }
  });
});
