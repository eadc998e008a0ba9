import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import type { SimulatedMessage } from '../../simulator/message.js';
import { TestApplication } from '../support/application.js';
import { DEFAULT_FROM, policyFailure, recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { type SeedOptions, seedMessage } from '../support/seed.js';

const SUBACCOUNT = { sid: `AC${'5'.repeat(32)}`, authToken: '6'.repeat(32) };
const MESSAGING_SERVICE = `MG${'7'.repeat(32)}`;

const accounts = {
  [demoAccount.sid]: demoAccount.authToken,
  [SUBACCOUNT.sid]: SUBACCOUNT.authToken,
};
const subaccounts = { TWILIO_SUBACCOUNTS: `${SUBACCOUNT.sid}:${SUBACCOUNT.authToken}` };

async function fallBack(
  application: TestApplication,
  seed: SeedOptions = {},
  accountSid: string = demoAccount.sid,
): Promise<SimulatedMessage | undefined> {
  const { twilioSid } = await seedMessage(application.dataSource, seed);
  await policyFailure(application, twilioSid, { accountSid });
  await untilAllIsDone(application, twilioSid);
  return smsFor(application, twilioSid)[0];
}

describe('the sender of the SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ simulator: { accounts }, env: subaccounts });
  });

  afterAll(() => application.close());

  it('is the company’s number', async () => {
    const sms = await fallBack(application, { companyPhoneNumber: '+15550002222' });
    expect(sms?.parameters).toMatchObject({ From: '+15550002222' });
  });

  it.each([null, '', ' '])(
    'is TWILIO_PHONE_NUMBER_REMINDERS if the company’s number is %j',
    async (companyPhoneNumber) => {
      const sms = await fallBack(application, { companyPhoneNumber });
      expect(sms?.parameters).toMatchObject({ From: DEFAULT_FROM });
    },
  );

  it('is TWILIO_PHONE_NUMBER_REMINDERS if the message has no conversation', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await application.query('update messages set conversation_id = null where twilio_sid = $1', [twilioSid]);
    await policyFailure(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)).toMatchObject([{ from: DEFAULT_FROM }]);
  });

  it('is the account that the callback named, called with its own token', async () => {
    const sms = await fallBack(application, {}, SUBACCOUNT.sid);
    expect(sms?.accountSid).toBe(SUBACCOUNT.sid);
    const calls = application.twilio.requests.filter(({ accountSid }) => accountSid === SUBACCOUNT.sid);
    expect(calls.every(({ authenticated }) => authenticated)).toBe(true);
    expect(calls.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  it('is the account that requests a template’s text', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: null });
    application.twilio.addMessage({
      sid: twilioSid,
      accountSid: SUBACCOUNT.sid,
      to: `whatsapp:${recipientOf(twilioSid)}`,
      body: 'Rendered for the subaccount',
    });
    await policyFailure(application, twilioSid, { accountSid: SUBACCOUNT.sid });
    await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)).toMatchObject([
      { accountSid: SUBACCOUNT.sid, body: 'Rendered for the subaccount' },
    ]);
  });
});

describe('the SMS with TWILIO_MESSAGING_SERVICE_SID', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: { accounts },
      env: { ...subaccounts, TWILIO_MESSAGING_SERVICE_SID: MESSAGING_SERVICE },
    });
  });

  afterAll(() => application.close());

  it('of the main account goes through the service and names no number', async () => {
    const sms = await fallBack(application);
    expect(sms).toMatchObject({
      accountSid: demoAccount.sid,
      parameters: { MessagingServiceSid: MESSAGING_SERVICE },
    });
    expect(sms?.parameters).not.toHaveProperty('From');
    const [row] = await application.query(
      'select from_number, messaging_service_sid, state from sms_fallbacks where sms_message_sid = $1',
      [sms?.sid],
    );
    expect(row).toEqual({ from_number: null, messaging_service_sid: MESSAGING_SERVICE, state: 'sent' });
  });

  it('of a subaccount is sent from a number, because the service is not the subaccount’s', async () => {
    const sms = await fallBack(application, { companyPhoneNumber: '+15550003333' }, SUBACCOUNT.sid);
    expect(sms).toMatchObject({ accountSid: SUBACCOUNT.sid, parameters: { From: '+15550003333' } });
    expect(sms?.parameters).not.toHaveProperty('MessagingServiceSid');
  });
});
