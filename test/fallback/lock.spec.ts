import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { FallbackService } from '../../src/fallback/fallback.service.js';
import { FallbackStore, LockLostError } from '../../src/fallback/fallback.store.js';
import { FallbackOutcomes } from '../../src/fallback/fallback-outcomes.js';
import { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { TestApplication } from '../support/application.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { randomMessageSid, type SeededMessage, seedMessage } from '../support/seed.js';
import { leaveBehind } from './leave-behind.js';

describe('a slow worker whose lock has expired', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  const sms = {
    toNumber: '+15557654321',
    fromNumber: '+15550001111',
    conversationId: null,
    messagingServiceSid: null,
    body: 'Hello',
    truncated: false,
    encoding: 'GSM-7',
    segments: 1,
    notCarriedOver: [],
    originalSentAt: new Date(),
  };

  async function lock(message: SeededMessage) {
    const store = application.app.get(FallbackStore);
    const id = await leaveBehind(application, message, { state: 'claimed' });
    const locked = await store.lock(id);
    if (locked === null) throw new Error('The fallback could not be locked');
    return { store, locked };
  }

  it.each([
    ['too little of it is left to wait for Twilio’s answer', `now() + interval '10 seconds'`],
    ['another worker has taken over', `now() + interval '59 seconds'`],
  ])('cannot send when %s', async (_, lockedUntil) => {
    const { store, locked } = await lock(await seedMessage(application.dataSource));
    const [row] = await application.query<{ lock: string }>(
      `with changed as (update sms_fallbacks set locked_until = ${lockedUntil} where id = $1 returning locked_until)
       select locked_until::text as lock from changed`,
      [locked.id],
    );
    // The worker still holds its lock only in the first case.
    const proof = lockedUntil.includes('10') ? { ...locked, lock: row?.lock ?? '' } : locked;
    await expect(store.beginSending(proof, sms)).rejects.toThrow(LockLostError);
    const [after] = await application.query('select state, attempts from sms_fallbacks where id = $1', [
      locked.id,
    ]);
    expect(after).toEqual({ state: 'claimed', attempts: 0 });
  });

  it('is one of two that lock a fallback at the same time', async () => {
    const store = application.app.get(FallbackStore);
    const id = await leaveBehind(application, await seedMessage(application.dataSource), {
      state: 'claimed',
    });
    const statements = jest.spyOn(application.dataSource.logger, 'logQuery');
    const locked = await Promise.all([store.lock(id), store.lock(id)]);
    expect(statements.mock.calls.filter(([sql]) => sql.includes('with due as'))).toHaveLength(1);
    statements.mockRestore();
    expect(locked.map((fallback) => fallback?.id ?? null)).toEqual([id, null]);
  });

  it('cannot end or postpone the fallback, and publishes nothing', async () => {
    const { store, locked } = await lock(await seedMessage(application.dataSource));
    await application.query(
      `update sms_fallbacks set locked_until = now() + interval '59 seconds' where id = $1`,
      [locked.id],
    );
    const step = { unansweredAttempts: 0, problem: null };
    const end = { ...step, state: 'failed', reason: 'rejected_by_twilio' } as const;
    await expect(store.end(locked, end)).rejects.toThrow(LockLostError);
    const later = new Date(Date.now() + 3_600_000);
    const wait = { ...step, state: 'claimed', reason: 'twilio_unavailable' } as const;
    await expect(store.postpone(locked, wait, later)).rejects.toThrow(LockLostError);
    const jobs = await application.query(
      `select 1 from whatsapp_sms_fallback_queue._private_jobs where payload->'event'->>'smsFallbackId' = $1`,
      [locked.id],
    );
    expect(jobs).toEqual([]);
  });

  it.each([
    ['is to be sent again', { state: 'claimed', reason: 'sms_never_sent' }],
    ['is being sent again', { state: 'sending', reason: null }],
    ['was sent again', { state: 'sent', reason: null, smsMessageSid: randomMessageSid() }],
    ['failed a second time', { state: 'failed', reason: 'never_sent' }],
  ] as const)('changes nothing when its SMS was never sent and the fallback %s', async (_, row) => {
    const smsMessageSid = randomMessageSid();
    const neverSent = {
      outcome: 'never_sent',
      code: '30001',
      from: null,
      messagingServiceSid: null,
    } as const;
    const id = await leaveBehind(application, await seedMessage(application.dataSource), {
      ...row,
      earlierAttempts: [{ ...neverSent, at: minutesAgo(1).toISOString(), smsMessageSid }],
    });
    const find = () => application.dataSource.manager.findOneByOrFail(SmsFallback, { id });
    const before = await find();
    const accepted = { outcome: 'accepted', messageSid: smsMessageSid, status: 'queued' } as const;
    const outcomes = application.app.get(FallbackOutcomes);
    expect(await outcomes.record(before, accepted)).toBe('ended_before');
    expect(await find()).toEqual(before);
  });
});

describe('a look at a fallback that cannot be locked', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  /** The due times of the jobs that a look has scheduled. */
  async function jobsAfterLook(row: Parameters<typeof leaveBehind>[2]): Promise<Date[]> {
    const id = await leaveBehind(application, await seedMessage(application.dataSource), row);
    await application.app.get(FallbackService).attempt(id);
    const jobs = await application.query<{ run_at: Date }>(
      `select run_at from whatsapp_sms_fallback_queue._private_jobs where payload->'event'->>'smsFallbackId' = $1`,
      [id],
    );
    return jobs.map(({ run_at }) => run_at);
  }

  it('schedules another one for when the lock of its worker expires', async () => {
    const lockedUntil = minutesAgo(-1);
    expect(await jobsAfterLook({ state: 'claimed', lockedUntil })).toEqual([lockedUntil]);
  });

  it('schedules none if it is not due: its job already waits, and the jobs would only multiply', async () => {
    const row = { state: 'claimed', lockedUntil: null, nextAttemptAt: minutesAgo(-60) } as const;
    expect(await jobsAfterLook(row)).toEqual([]);
  });

  it('schedules none if it has ended', async () => {
    expect(await jobsAfterLook({ state: 'skipped', reason: 'no_text', lockedUntil: null })).toEqual([]);
  });
});
