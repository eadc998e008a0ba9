import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { delivered, silent } from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import type { Fault } from '../../simulator/faults.js';
import type { SimulatedMessage } from '../../simulator/message.js';
import { StalledFallbacks } from '../../src/fallback/stalled-fallbacks.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, untilAllIsDone, withFallbackOptions } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';

const REDACTIONS = ['numbers', 'bodies', 'both'] as const;

/** These numbers still differ if their last four digits are hidden. */
let recipients = 0;
function newRecipient(): string {
  recipients += 1;
  return `+1555${String(recipients).padStart(3, '0')}7001`;
}

/** Twilio’s list does not show whether the SMS was accepted, and a second SMS would be worse than none. */
describe.each([
  ['a number', {}],
  ['a Messaging Service', { messagingService: { accountSid: demoAccount.sid, sid: `MG${'7'.repeat(32)}` } }],
])('an SMS from %s whose answer was lost, under message redaction', (_, sender) => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: { callbackPlan: silent },
      override: withFallbackOptions({ settlingMilliseconds: 0, ...sender }),
    });
  });

  afterEach(() => {
    application.twilio.redaction = 'none';
    application.twilio.callbackPlan = silent;
  });

  afterAll(() => application.close());

  async function fallBack(to: string, fault: Fault): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    application.twilio.failNext({ on: 'create', fault });
    await policyFailure(application, twilioSid, { to: `whatsapp:${to}` });
    return twilioSid;
  }

  const accepted = (to: string): SimulatedMessage[] =>
    application.twilio.messages.filter((message) => message.to === to);

  const attempts = (to: string) =>
    application.twilio.requests.filter(
      ({ method, parameters }) => method === 'POST' && parameters['To'] === to,
    );

  it.each(REDACTIONS)('of %s is never sent again, and becomes sent by a late callback', async (redaction) => {
    application.twilio.redaction = redaction;
    const to = newRecipient();
    const messageSid = await fallBack(to, { type: 'resetAfterAccepting' });
    expect(await untilAllIsDone(application, messageSid)).toMatchObject({
      state: 'failed',
      reason: 'no_answer_from_twilio',
      attempts: 1,
    });
    expect(attempts(to)).toHaveLength(1);

    const [sms] = accepted(to);
    const { sid = '', from = '', statusCallback: url = '' } = sms ?? {};
    const parameters = smsStatusParameters({ messageSid: sid, status: 'delivered', to, from });
    expect(await application.twilio.sendCallback({ url, parameters })).toMatchObject({ status: 204 });
    await application.app.get(StalledFallbacks).runOnce();
    const fallback = await untilAllIsDone(application, messageSid);
    expect(fallback).toMatchObject({ state: 'sent', smsMessageSid: sid, attempts: 1 });
    expect(accepted(to)).toHaveLength(1);
  });

  it.each(REDACTIONS)('of %s is recognized by its callbacks', async (redaction) => {
    application.twilio.redaction = redaction;
    application.twilio.callbackPlan = delivered;
    const to = newRecipient();
    const messageSid = await fallBack(to, { type: 'resetAfterAccepting' });
    const fallback = await untilAllIsDone(application, messageSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1 });
    expect(accepted(to).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
  });

  it.each(REDACTIONS)('of %s is sent once if it was never accepted', async (redaction) => {
    application.twilio.redaction = redaction;
    const to = newRecipient();
    const messageSid = await fallBack(to, { type: 'resetBeforeAccepting' });
    const fallback = await untilAllIsDone(application, messageSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 2 });
    expect(accepted(to).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
  });

  it.each(REDACTIONS)('of %s is not mistaken for the SMS of another fallback', async (redaction) => {
    application.twilio.redaction = redaction;
    const to = newRecipient();
    const first = await seedMessage(application.dataSource);
    await policyFailure(application, first.twilioSid, { to: `whatsapp:${to}` });
    const { smsMessageSid } = await untilAllIsDone(application, first.twilioSid);
    const second = await fallBack(to, { type: 'resetBeforeAccepting' });
    const fallback = await untilAllIsDone(application, second);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 2 });
    expect(accepted(to).map(({ sid }) => sid)).toEqual([smsMessageSid, fallback.smsMessageSid]);
  });

  it('of nothing is found in the list', async () => {
    const to = newRecipient();
    const messageSid = await fallBack(to, { type: 'resetAfterAccepting' });
    const fallback = await untilAllIsDone(application, messageSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1 });
    expect(accepted(to).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
  });
});
