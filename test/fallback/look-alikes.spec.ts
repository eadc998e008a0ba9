import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { silent } from '../../simulator/callback-plan.js';
import type { Fault } from '../../simulator/faults.js';
import type { FallbackModuleOptions } from '../../src/fallback/fallback.module-definition.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  attemptsFor,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  untilFallbackEnds,
  untilFallbackIs,
  withFallbackOptions,
  withTwilioTimeout,
} from '../support/fallbacks.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { type SeededMessage, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

/** SMS with the same text to the same number, which Twilio’s list does not tell apart. */
describe('an SMS without an answer is not mistaken for', () => {
  let application: TestApplication;
  const options: FallbackModuleOptions = { settlingMilliseconds: 0 };

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: { callbackPlan: silent },
      override: (builder) => withTwilioTimeout()(withFallbackOptions(options)(builder)),
    });
  });

  afterAll(() => application.close());

  /** A policy failure of another message to the same person, with the same text. */
  async function fallBack(to: string, fault?: Fault): Promise<SeededMessage> {
    const message = await seedMessage(application.dataSource);
    if (fault !== undefined) application.twilio.failNext({ on: 'create', fault });
    await policyFailure(application, message.twilioSid, { to: `whatsapp:${recipientOf(to)}` });
    return message;
  }

  it('the SMS of another fallback', async () => {
    const first = await fallBack('a1');
    const sent = await untilAllIsDone(application, first.twilioSid);
    const second = await fallBack('a1', { type: 'resetBeforeAccepting' });
    const fallback = await untilAllIsDone(application, second.twilioSid);
    expect(smsFor(application, 'a1').map(({ sid }) => sid)).toEqual([
      sent.smsMessageSid,
      fallback.smsMessageSid,
    ]);
    expect(attemptsFor(application, 'a1')).toHaveLength(3);
  });

  it('an SMS that the application sent itself', async () => {
    const own = await seedMessage(application.dataSource);
    application.twilio.addMessage({
      sid: own.twilioSid,
      to: recipientOf('a2'),
      from: own.companyPhoneNumber ?? '',
      body: own.body ?? '',
    });
    const message = await fallBack('a2', { type: 'resetBeforeAccepting' });
    const fallback = await untilAllIsDone(application, message.twilioSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 2 });
    expect(smsFor(application, 'a2').map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
  });

  it('an SMS of the application if it is its own, even if the application copies all messages of its account', async () => {
    const message = await fallBack('a6', { type: 'resetAfterAccepting' });
    await untilFallbackIs(application, message.twilioSid, 'uncertain');
    const [sms] = smsFor(application, 'a6');
    await seedMessage(application.dataSource, { twilioSid: sms?.sid });
    const fallback = await untilAllIsDone(application, message.twilioSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1, smsMessageSid: sms?.sid });
    expect(attemptsFor(application, 'a6')).toHaveLength(1);
  });

  it('an SMS with another text, from another number, or of another time', async () => {
    const message = await seedMessage(application.dataSource);
    const { body, companyPhoneNumber } = message;
    const alike = { to: recipientOf('a3'), from: companyPhoneNumber ?? '', body: body ?? '' };
    application.twilio.addMessage({ ...alike, body: `${alike.body}!` });
    application.twilio.addMessage({ ...alike, from: '+15550007777' });
    application.twilio.addMessage({ ...alike, dateCreated: new Date(Date.now() - 120_000) });
    application.twilio.failNext({ on: 'create', fault: { type: 'resetBeforeAccepting' } });
    await policyFailure(application, message.twilioSid, { to: `whatsapp:${alike.to}` });
    const fallback = await untilAllIsDone(application, message.twilioSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 2 });
    expect(smsFor(application, 'a3').map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
  });

  it('the same SMS as another one without an answer: each gets one', async () => {
    const first = await fallBack('a4', { type: 'resetAfterAccepting' });
    const second = await fallBack('a4', { type: 'resetAfterAccepting' });
    const ends = [
      await untilFallbackEnds(application, first.twilioSid),
      await untilFallbackEnds(application, second.twilioSid),
    ];
    await untilQueueIsEmpty(application);
    expect(attemptsFor(application, 'a4')).toHaveLength(2);
    const sids = smsFor(application, 'a4').map(({ sid }) => sid);
    expect(ends.map(({ smsMessageSid }) => smsMessageSid).toSorted()).toEqual(sids.toSorted());
  });

  it('an SMS that another fallback has matched, although a callback names its owner', async () => {
    // During this time it is looked for and not sent again.
    options.settlingMilliseconds = Infinity;
    const lost = await fallBack('a5', { type: 'resetBeforeAccepting' });
    const { id: lostId } = await untilFallbackIs(application, lost.twilioSid, 'uncertain');
    const owner = await fallBack('a5', { type: 'hangAfterAccepting' });
    await until("the owner's SMS to be listed", () => smsFor(application, 'a5').length === 1);
    await attemptNow(application, lostId);
    const taker = await untilFallbackEnds(application, lost.twilioSid);
    const [sms] = smsFor(application, 'a5');
    expect(taker.smsMessageSid).toBe(sms?.sid);
    const { statusCallback: url = '', sid: messageSid = '', to = '', from = '' } = sms ?? {};
    await application.twilio.sendCallback({
      url,
      parameters: smsStatusParameters({ messageSid, status: 'delivered', to, from }),
    });
    options.settlingMilliseconds = 0;
    const fallback = await untilAllIsDone(application, owner.twilioSid);
    expect(fallback.state).toBe('sent');
    expect(smsFor(application, 'a5').map(({ sid }) => sid)).toEqual([
      taker.smsMessageSid,
      fallback.smsMessageSid,
    ]);
  });
});
