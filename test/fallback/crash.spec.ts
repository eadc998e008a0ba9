import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { demoAccount } from '../../simulator/demo-account.js';
import { DomainEventPublisher } from '../../src/domain-events/domain-events.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { attemptNow, attemptsFor, recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { type SeededMessage, seedMessage } from '../support/seed.js';
import { leaveBehind } from './leave-behind.js';

describe('after a crash, the fallback', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  /** The domain event as its job delivers it, for the first time or again. */
  async function publishPolicyFailed({ twilioSid }: SeededMessage): Promise<void> {
    const id = randomUUID();
    const event = {
      id,
      occurredAt: new Date().toISOString(),
      messageEventId: id,
      messageSid: twilioSid,
      accountSid: demoAccount.sid,
      messageStatus: 'undelivered',
      errorCode: '63049',
      toNumber: recipientOf(twilioSid),
      userId: null,
      parentUserId: null,
      callbackUrl: WEBHOOK_URL,
    };
    const { manager } = application.dataSource;
    await application.app.get(DomainEventPublisher).publish(manager, 'whatsapp.policy_failed', [event]);
  }

  async function expectOneSms({ twilioSid }: SeededMessage, attempts: number): Promise<void> {
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts, lockedUntil: null });
    const sids = application.twilio.messages.filter(({ to }) => to === recipientOf(twilioSid));
    expect(sids.length).toBeLessThanOrEqual(1);
    expect(application.twilio.findMessage(fallback.smsMessageSid ?? '')).toMatchObject({
      to: recipientOf(twilioSid),
    });
  }

  it('sends the SMS if the crash was between the event and the claim', async () => {
    const message = await seedMessage(application.dataSource);
    await publishPolicyFailed(message);
    await expectOneSms(message, 1);
  });

  it('sends the SMS if the crash was between the claim and the intent to send', async () => {
    const message = await seedMessage(application.dataSource);
    await leaveBehind(application, message, { state: 'claimed' });
    await publishPolicyFailed(message);
    await expectOneSms(message, 1);
  });

  it('sends the SMS if the crash was between the intent and Twilio, which does not know it', async () => {
    const message = await seedMessage(application.dataSource);
    const left = { state: 'sending', attempts: 1, attemptStartedAt: minutesAgo(5) } as const;
    await leaveBehind(application, message, left);
    await publishPolicyFailed(message);
    await expectOneSms(message, 2);
    expect(smsFor(application, message.twilioSid)).toHaveLength(1);
  });

  it('finds the SMS and does not send it again if the crash was before the record of it', async () => {
    const message = await seedMessage(application.dataSource);
    const left = { state: 'sending', attempts: 1, attemptStartedAt: minutesAgo(5) } as const;
    const id = await leaveBehind(application, message, left);
    application.twilio.addMessage({
      to: recipientOf(message.twilioSid),
      from: message.companyPhoneNumber ?? '',
      body: message.body ?? '',
      dateCreated: minutesAgo(5),
    });
    await Promise.all([publishPolicyFailed(message), attemptNow(application, id)]);
    await expectOneSms(message, 1);
    expect(attemptsFor(application, message.twilioSid)).toEqual([]);
  });

  it('changes nothing when the event comes again after a crash at the end of the job', async () => {
    const message = await seedMessage(application.dataSource);
    await publishPolicyFailed(message);
    const { id } = await untilAllIsDone(application, message.twilioSid);
    await Promise.all([publishPolicyFailed(message), attemptNow(application, id)]);
    await expectOneSms(message, 1);
    expect(attemptsFor(application, message.twilioSid)).toHaveLength(1);
  });

  it('waits in another worker until the lock of the dead one expires', async () => {
    const message = await seedMessage(application.dataSource);
    const lockedUntil = new Date(Date.now() + 1_500);
    await leaveBehind(application, message, { state: 'claimed', lockedUntil });
    await publishPolicyFailed(message);
    await expectOneSms(message, 1);
    const [attempt] = attemptsFor(application, message.twilioSid);
    expect(attempt?.time.getTime()).toBeGreaterThanOrEqual(lockedUntil.getTime());
  });
});
