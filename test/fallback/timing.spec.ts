import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { pass, runOnce } from '../status-polling/polling.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  attemptsFor,
  findFallback,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  untilFallbackIs,
  whatsappStatus,
} from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';

const HOUR = 3_600_000;
const API_KEY = 'k'.repeat(24);

const hoursAgo = (hours: number) => new Date(Date.now() - hours * HOUR);

describe('the age of the original', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: { ADMIN_API_KEYS: API_KEY },
    });
  });

  afterAll(() => application.close());

  async function storedAt(messageSid: string, time: Date): Promise<void> {
    await application.query('update messages set created_at = $2 where twilio_sid = $1', [messageSid, time]);
  }

  async function reportedAt(messageSid: string, status: string, time: Date): Promise<void> {
    await whatsappStatus(application, messageSid, { status });
    await application.query(
      'update message_events set created_at = $3 where message_sid = $1 and message_status = $2',
      [messageSid, status, time],
    );
  }

  function sentByTwilioAt(sid: string, dateSent: Date | undefined, dateCreated = hoursAgo(0)): void {
    const to = `whatsapp:${recipientOf(sid)}`;
    const status = dateSent === undefined ? 'queued' : 'undelivered';
    application.twilio.addMessage({ sid, to, body: 'Hello', status, dateSent, dateCreated });
  }

  async function fallBack(messageSid: string): Promise<SmsFallback> {
    await policyFailure(application, messageSid);
    return untilAllIsDone(application, messageSid);
  }

  function expectTooLate(fallback: SmsFallback, messageSid: string): void {
    expect(fallback).toMatchObject({ state: 'skipped', reason: 'too_late', attempts: 0 });
    expect(fallback.originalSentAt?.getTime()).toBeLessThan(hoursAgo(4).getTime());
    expect(attemptsFor(application, messageSid)).toEqual([]);
  }

  /** The seconds that Twilio can keep the SMS. */
  function validity(messageSid: string): number {
    return Number(attemptsFor(application, messageSid)[0]?.parameters['ValidityPeriod']);
  }

  it('counts from messages.created_at if no other source has the time', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await storedAt(twilioSid, hoursAgo(20));
    expectTooLate(await fallBack(twilioSid), twilioSid);
  });

  it('counts from Twilio’s date if no sending was reported, whenever the row was stored', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    sentByTwilioAt(twilioSid, hoursAgo(20));
    expectTooLate(await fallBack(twilioSid), twilioSid);
  });

  it('counts from its first sent event, whatever Twilio and the row say', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    sentByTwilioAt(twilioSid, hoursAgo(1));
    await reportedAt(twilioSid, 'sent', hoursAgo(5));
    expectTooLate(await fallBack(twilioSid), twilioSid);
  });

  it('is that of a scheduled message’s sending, not of its row', async () => {
    const [known, unknown] = [
      await seedMessage(application.dataSource),
      await seedMessage(application.dataSource),
    ];
    for (const { twilioSid } of [known, unknown]) await storedAt(twilioSid, hoursAgo(72));
    sentByTwilioAt(known.twilioSid, hoursAgo(1), hoursAgo(72));
    expect(await fallBack(known.twilioSid)).toMatchObject({ state: 'sent' });
    expect(validity(known.twilioSid)).toBeLessThanOrEqual(3 * 3_600);
    expect(validity(known.twilioSid)).toBeGreaterThan(3 * 3_600 - 120);
    // Twilio does not know it: the only known fact is that it was scheduled.
    await reportedAt(unknown.twilioSid, 'scheduled', hoursAgo(71));
    expect(await fallBack(unknown.twilioSid)).toMatchObject({ state: 'sent' });
  });

  it('is at least that of the failure, after an outage of any length', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    // The failure was stored two days ago. Only now its code counts as policy, or a worker runs again.
    await reportedAt(twilioSid, 'undelivered', hoursAgo(48));
    await policyFailure(application, twilioSid);
    expectTooLate(await untilAllIsDone(application, twilioSid), twilioSid);
  });

  it('bounds how long Twilio keeps the SMS', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await reportedAt(twilioSid, 'sent', hoursAgo(3.5));
    expect(await fallBack(twilioSid)).toMatchObject({ state: 'sent' });
    expect(validity(twilioSid)).toBeLessThanOrEqual(1_800);
    expect(validity(twilioSid)).toBeGreaterThan(1_680);
  });

  it('is ignored if an operator asks for that', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await storedAt(twilioSid, hoursAgo(20));
    const { id } = await fallBack(twilioSid);
    const retry = async (query: string) => {
      const response = await fetch(`${application.origin}/api/v1/fallbacks/${id}/retry${query}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${API_KEY}` },
      });
      return await response.json();
    };
    expect(await retry('')).toMatchObject({ decision: 'too_late' });
    expect(await findFallback(application, twilioSid)).toMatchObject({
      state: 'skipped',
      reason: 'too_late',
    });
    expect(await retry('?ignoreAge=true')).toMatchObject({ decision: 'claimed_again' });
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({
      state: 'sent',
      ageLimitIgnored: true,
    });
    expect(validity(twilioSid)).toBe(14_400);
  });
});

describe('a polled failure', () => {
  it('is too old if Twilio says that the original was sent long ago', async () => {
    const application = await TestApplication.start({ env: { STATUS_POLL_AFTER_MINUTES: '10' } });
    try {
      const { twilioSid: sid } = await seedMessage(application.dataSource);
      await whatsappStatus(application, sid, { status: 'queued' });
      application.twilio.addMessage({
        sid,
        to: `whatsapp:${recipientOf(sid)}`,
        body: 'Hello',
        status: 'undelivered',
        errorCode: 63049,
        dateSent: hoursAgo(20),
      });
      await pass(application, 60);
      await runOnce(application);
      const fallback = await untilAllIsDone(application, sid);
      expect(fallback).toMatchObject({ state: 'skipped', reason: 'too_late' });
      expect(attemptsFor(application, sid)).toEqual([]);
    } finally {
      await application.close();
    }
  });
});

describe('a message that WhatsApp has delivered meanwhile', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  it.each(['delivered', 'read'])('has no SMS if %s is stored before its row is', async (status) => {
    const sid = randomMessageSid();
    await policyFailure(application, sid);
    await untilFallbackIs(application, sid, 'claimed');
    await whatsappStatus(application, sid, { status });
    await seedMessage(application.dataSource, { twilioSid: sid });
    const fallback = await untilAllIsDone(application, sid);
    expect(fallback).toMatchObject({ state: 'skipped', reason: 'delivered_meanwhile', attempts: 0 });
    expect(smsFor(application, sid)).toEqual([]);
  });

  it('has no SMS if Twilio reports it delivered on request', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: null });
    application.twilio.addMessage({
      sid: twilioSid,
      to: `whatsapp:${recipientOf(twilioSid)}`,
      body: 'Hello',
      status: 'delivered',
    });
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(fallback).toMatchObject({ state: 'skipped', reason: 'delivered_meanwhile' });
  });

  it('has no SMS if the delivery is stored during the request to Twilio', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { body: null });
    application.twilio.addMessage({
      sid: twilioSid,
      to: `whatsapp:${recipientOf(twilioSid)}`,
      body: 'Hello',
    });
    const delivered = new Promise<void>((resolve, reject) => {
      application.twilio.once('request', () => {
        whatsappStatus(application, twilioSid, { status: 'delivered' }).then(resolve, reject);
      });
    });
    application.twilio.failNext({
      on: 'fetch',
      fault: { type: 'error', status: 503, code: 20503 },
    });
    await policyFailure(application, twilioSid);
    await delivered;
    const fallback = await untilAllIsDone(application, twilioSid);
    expect(fallback).toMatchObject({ state: 'skipped', reason: 'delivered_meanwhile', attempts: 0 });
  });
});

describe('FALLBACK_HOLD_SECONDS', () => {
  it('gives WhatsApp the time to deliver late, and then the SMS is sent', async () => {
    const application = await TestApplication.start({ env: { FALLBACK_HOLD_SECONDS: '600' } });
    try {
      const [late, never] = [
        await seedMessage(application.dataSource),
        await seedMessage(application.dataSource),
      ];
      for (const { twilioSid } of [late, never]) await policyFailure(application, twilioSid);
      for (const { twilioSid } of [late, never]) {
        const held = await untilFallbackIs(application, twilioSid, 'claimed');
        expect(held).toMatchObject({ reason: 'held', attempts: 0 });
        expect(held.nextAttemptAt.getTime() - held.createdAt.getTime()).toBe(600_000);
      }
      await whatsappStatus(application, late.twilioSid, { status: 'delivered' });
      for (const { twilioSid } of [late, never]) {
        await attemptNow(application, (await findFallback(application, twilioSid))?.id ?? '');
      }
      expect(await untilAllIsDone(application, late.twilioSid)).toMatchObject({
        reason: 'delivered_meanwhile',
      });
      expect(await untilAllIsDone(application, never.twilioSid)).toMatchObject({
        state: 'sent',
        attempts: 1,
      });
    } finally {
      await application.close();
    }
  });
});

describe('FALLBACK_DUPLICATE_WINDOW_SECONDS', () => {
  const reports = (sid: string) => ({ to: recipientOf(sid) });

  async function twoAlike(env: Record<string, string>, bodies: readonly [string, string]) {
    const application = await TestApplication.start({ env });
    try {
      const first = await seedMessage(application.dataSource, { body: bodies[0] });
      const second = await seedMessage(application.dataSource, { body: bodies[1] });
      const person = reports(first.twilioSid);
      await Promise.all([
        policyFailure(application, first.twilioSid, person),
        policyFailure(application, second.twilioSid, person),
      ]);
      const ended = [
        await untilAllIsDone(application, first.twilioSid),
        await untilAllIsDone(application, second.twilioSid),
      ];
      return { ended, sms: smsFor(application, first.twilioSid) };
    } finally {
      await application.close();
    }
  }

  it('sends one of two SMS with the same text for the same person, and names the other', async () => {
    const { ended, sms } = await twoAlike({ FALLBACK_DUPLICATE_WINDOW_SECONDS: '60' }, ['Hello', 'Hello']);
    expect(sms).toHaveLength(1);
    const sent = ended.find(({ state }) => state === 'sent');
    const skipped = ended.find(({ state }) => state === 'skipped');
    expect(skipped).toMatchObject({ reason: 'duplicate_of', duplicateOf: sent?.id, attempts: 0 });
  });

  it('sends both if their texts differ', async () => {
    const { sms } = await twoAlike({ FALLBACK_DUPLICATE_WINDOW_SECONDS: '60' }, ['Hello', 'Hello again']);
    expect(sms).toHaveLength(2);
  });

  it('sends both if it is not set', async () => {
    const { sms } = await twoAlike({}, ['Hello', 'Hello']);
    expect(sms).toHaveLength(2);
  });
});
