import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { StatusCallback } from '../../simulator/callback-parameters.js';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  findFallback,
  policyFailure,
  untilAllIsDone,
  whatsappStatus,
} from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { type SeededMessage, seedMessage } from '../support/seed.js';
import { leaveBehind } from './leave-behind.js';

describe('the recipient of the SMS', () => {
  let application: TestApplication;
  let people = 0;

  beforeAll(async () => {
    application = await TestApplication.start({ env: { ADMIN_API_KEYS: 'k'.repeat(24) } });
  });

  afterAll(() => application.close());

  /** A number and an ID that no other test uses. */
  function newPerson() {
    people += 1;
    const digits = String(people).padStart(4, '0');
    return { number: `+1555010${digits}`, userId: `US.1349120865530274${digits}` };
  }

  async function fallBack(
    message: SeededMessage,
    callback: Partial<StatusCallback>,
  ): Promise<[to: readonly unknown[], fallback: SmsFallback]> {
    const before = application.twilio.requests.length;
    await policyFailure(application, message.twilioSid, callback);
    const fallback = await untilAllIsDone(application, message.twilioSid);
    const posts = application.twilio.requests.slice(before).filter(({ method }) => method === 'POST');
    return [posts.map(({ parameters }) => parameters['To']), fallback];
  }

  const external = (name: string, id: string) => ({ extra: { [name]: id } });

  it.each([
    ['a user ID', 'whatsapp:US.13491208655302741918'],
    ['a short user ID, whose digits are a number', 'whatsapp:US.13125550123'],
    ['a user ID with letters', 'whatsapp:DE.4917a0123b4567'],
    ['the user ID for a parent business', 'whatsapp:US.ENT.11815799212886844830'],
    ['a masked number', 'whatsapp:+1555010XXXX'],
    ['a number masked with asterisks', 'whatsapp:+1555010****'],
    ['digits without a plus', 'whatsapp:15550107001'],
    ['a number that is too short', 'whatsapp:+1555'],
    ['a number that is too long for its country', 'whatsapp:+155501070011'],
    ['a number with letters', 'whatsapp:+1555O1O7OO1'],
    ['a number in other digits', 'whatsapp:+١٥٥٥٠١٠٧٠٠١'],
    ['an unknown country', 'whatsapp:+9991234567890'],
  ])('is never made up from %s', async (_, to) => {
    const message = await seedMessage(application.dataSource);
    const [posted, fallback] = await fallBack(message, { to });
    expect(posted).toEqual([]);
    expect(fallback).toMatchObject({ state: 'skipped', reason: 'recipient_number_unknown', attempts: 0 });
  });

  it('is the number next to the user ID in an earlier event of the account', async () => {
    const { number, userId } = newPerson();
    const earlier = await seedMessage(application.dataSource);
    await whatsappStatus(application, earlier.twilioSid, {
      status: 'delivered',
      to: number,
      ...external('ExternalUserId', `whatsapp:${userId}`),
    });
    const message = await seedMessage(application.dataSource);
    const [posted, fallback] = await fallBack(message, { to: `whatsapp:${userId}` });
    expect(posted).toEqual([number]);
    expect(fallback).toMatchObject({ state: 'sent', toNumber: number, userId });
  });

  it.each([
    ['ExternalUserId', 'US.1349120865530274ABC1'],
    ['ParentExternalUserId', 'US.ENT.1181579921288684ABC2'],
  ])('is known by %s if the failure has a masked number', async (name, id) => {
    const { number } = newPerson();
    const earlier = await seedMessage(application.dataSource);
    await whatsappStatus(application, earlier.twilioSid, {
      status: 'read',
      to: number,
      ...external(name, id),
    });
    const message = await seedMessage(application.dataSource);
    const [posted] = await fallBack(message, {
      to: 'whatsapp:+1555010XXXX',
      ...external(name, `whatsapp:${id}`),
    });
    expect(posted).toEqual([number]);
  });

  it('is not the number that another account has for the ID', async () => {
    const { number, userId } = newPerson();
    await application.query(
      `insert into message_events (message_sid, message_status, channel, to_number, user_id, account_sid, payload)
       values ($1, 'delivered', 'whatsapp', $2, $3, 'ACother', '{}')`,
      [`SM-of-another-account-${userId}`, number, userId],
    );
    const message = await seedMessage(application.dataSource);
    const [posted, fallback] = await fallBack(message, { to: `whatsapp:${userId}` });
    expect([posted, fallback.reason]).toEqual([[], 'recipient_number_unknown']);
  });

  it('becomes known later, and then the fallback can be retried', async () => {
    const { number, userId } = newPerson();
    const message = await seedMessage(application.dataSource);
    await fallBack(message, { to: `whatsapp:${userId}` });
    const later = await seedMessage(application.dataSource);
    await whatsappStatus(application, later.twilioSid, {
      status: 'delivered',
      to: number,
      ...external('ExternalUserId', userId),
    });
    const fallback = await findFallback(application, message.twilioSid);
    const response = await fetch(`${application.origin}/api/v1/fallbacks/${fallback?.id ?? ''}/retry`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${'k'.repeat(24)}` },
    });
    expect(await response.json()).toMatchObject({ decision: 'claimed_again' });
    const sent = await untilAllIsDone(application, message.twilioSid);
    expect(sent).toMatchObject({ state: 'sent', toNumber: number });
  });

  it.each(['whatsapp:+1555010XXXX', 'whatsapp:US.13491208655302749999', 'whatsapp:', ''])(
    'is the number of an earlier event of the message if the failure has %j',
    async (to) => {
      const { number } = newPerson();
      const message = await seedMessage(application.dataSource);
      await whatsappStatus(application, message.twilioSid, { status: 'sent', to: number });
      const [posted, fallback] = await fallBack(message, { extra: { To: to } });
      expect(posted).toEqual([number]);
      expect(fallback.toNumber).toBe(number);
    },
  );

  it('is the number that Twilio names, unless that is masked', async () => {
    const { number } = newPerson();
    const [known, masked] = [
      await seedMessage(application.dataSource),
      await seedMessage(application.dataSource),
    ];
    application.twilio.addMessage({ sid: known.twilioSid, to: `whatsapp:${number}`, body: '' });
    application.twilio.addMessage({ sid: masked.twilioSid, to: 'whatsapp:+1555010XXXX', body: '' });
    expect((await fallBack(known, { without: ['To'] }))[0]).toEqual([number]);
    const [posted, fallback] = await fallBack(masked, { without: ['To'] });
    expect([posted, fallback.reason]).toEqual([[], 'recipient_number_unknown']);
  });

  it('is the number in the application’s row, if that has one', async () => {
    const { number, userId } = newPerson();
    const message = await seedMessage(application.dataSource);
    await application.query('alter table messages add column if not exists to_number text');
    await application.query('update messages set to_number = $2 where twilio_sid = $1', [
      message.twilioSid,
      number,
    ]);
    const [posted] = await fallBack(message, { to: `whatsapp:${userId}` });
    expect(posted).toEqual([number]);
  });

  it('is a number even if a row without an answer has none, and is not sent again', async () => {
    const message = await seedMessage(application.dataSource);
    const before = application.twilio.requests.length;
    const id = await leaveBehind(application, message, {
      state: 'sending',
      toNumber: 'US.13125550123',
      attempts: 1,
      attemptStartedAt: minutesAgo(2),
    });
    await attemptNow(application, id);
    const fallback = await untilAllIsDone(application, message.twilioSid);
    expect(fallback.state).toBe('failed');
    const posts = application.twilio.requests.slice(before).filter(({ method }) => method === 'POST');
    expect(posts).toEqual([]);
  });

  it.each([
    ['Mexico’s 1', '+5215512345678', '+525512345678'],
    ['Brazil’s missing ninth digit', '+553188887777', '+5531988887777'],
    ['Argentina’s missing 9', '+541123456789', '+5491123456789'],
    ['Argentina’s 9, which SMS needs too', '+5491123456789', '+5491123456789'],
    ['Benin’s number of before 2024', '+22997123456', '+2290197123456'],
    ['a Brazilian landline, which has no ninth digit', '+551133334444', '+551133334444'],
  ])('has the form that SMS needs: %s', async (_, whatsapp, sms) => {
    const message = await seedMessage(application.dataSource);
    const [posted] = await fallBack(message, { to: `whatsapp:${whatsapp}` });
    expect(posted).toEqual([sms]);
  });
});
