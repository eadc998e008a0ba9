import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { TestApplication } from '../support/application.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { policyFailure } from '../support/fallbacks.js';
import { ageJobs, withDomainEventsOptions } from '../support/job-queue.js';
import { randomMessageSid } from '../support/seed.js';
import { createTestDatabase, itOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import { callApi, withAdminKeys } from './api.js';

interface Queue {
  waiting: number;
  secondsToDrain: number | null;
  overdue: number;
  oldestAgeSeconds: number;
  exhausted: number;
  overdueFallbacks: number;
  pace: { waiting: number; secondsToDrain: number; senders: unknown[] };
  twilio: { status: string; outages: unknown[] };
}

const WELL = {
  overdueFallbacks: 0,
  pace: { waiting: 0, secondsToDrain: 0, senders: [] },
  twilio: { status: 'up', outages: [] },
};

describe('the queue without a worker', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({
      env: withAdminKeys,
      database,
      override: withDomainEventsOptions(database, { concurrency: 0 }),
    });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  async function queue(): Promise<Queue> {
    const answer = await callApi<Queue>(application, '/api/v1/queue');
    expect(answer.status).toBe(200);
    return answer.body;
  }

  async function changeJobs(columns: string): Promise<void> {
    await application.query(`update whatsapp_sms_fallback_queue._private_jobs set ${columns}`);
  }

  it('is empty at first', async () => {
    expect(await queue()).toEqual({
      ...{ waiting: 0, secondsToDrain: 0, overdue: 0, oldestAgeSeconds: 0, exhausted: 0 },
      ...WELL,
    });
  });

  it('has the waiting policy failures, with their waiting time and that they are overdue', async () => {
    await policyFailure(application, randomMessageSid());
    expect(await queue()).toMatchObject({ waiting: 1, overdue: 0, exhausted: 0 });
    await ageJobs(application, 1);
    expect(await queue()).toMatchObject({ waiting: 1, overdue: 0 });
    await ageJobs(application, 3);
    await policyFailure(application, randomMessageSid());
    const { oldestAgeSeconds, ...counts } = await queue();
    expect(counts).toEqual({ waiting: 2, secondsToDrain: null, overdue: 1, exhausted: 0, ...WELL });
    expect(oldestAgeSeconds).toBeGreaterThanOrEqual(180);
    expect(oldestAgeSeconds).toBeLessThan(240);
  });

  it('says how long the waiting jobs take at the rate at which fallbacks are claimed', async () => {
    const createdAt = new Date();
    for (let count = 0; count < 5; count += 1) await seedFallback(application, { createdAt });
    // Two jobs, five claims in ten seconds.
    expect(await queue()).toMatchObject({ waiting: 2, secondsToDrain: 4 });
    await application.query('delete from sms_fallbacks');
  });

  it("does not count a job in a worker's hands as waiting, and counts a dead worker's job as overdue", async () => {
    await ageJobs(application, 10);
    await changeJobs(`locked_by = 'a worker', locked_at = now() - interval '10 seconds'`);
    expect(await queue()).toMatchObject({ waiting: 0, overdue: 0 });
    await changeJobs(`locked_at = now() - interval '5 minutes'`);
    expect(await queue()).toMatchObject({ waiting: 2, overdue: 2 });
  });

  it('lists the jobs without attempts left apart', async () => {
    await changeJobs('attempts = max_attempts, locked_by = null, locked_at = null');
    expect(await queue()).toEqual({
      ...{ waiting: 0, secondsToDrain: 0, overdue: 0, oldestAgeSeconds: 0, exhausted: 2 },
      ...WELL,
    });
  });

  // The embedded database has no statistics of its tables.
  itOnServer('estimates the jobs of a long queue instead of counting them', async () => {
    await application.query(
      `select count(*) from whatsapp_sms_fallback_queue.add_jobs(array(
         select row('domain_event', '{}', null, now(), null, null, null, null)::whatsapp_sms_fallback_queue.job_spec
           from generate_series(1, 30000)))`,
    );
    const waiting = await until('the statistics', async () => {
      const { waiting } = await queue();
      return waiting > 20_000 && waiting;
    });
    expect(waiting).toBeGreaterThan(29_000);
    expect(waiting).toBeLessThan(31_000);
    await application.query('delete from whatsapp_sms_fallback_queue._private_jobs');
  });

  describe('an overdue fallback', () => {
    afterEach(async () => {
      await application.query('delete from sms_fallbacks');
    });

    /** Every view of it uses the same rule. */
    async function overdue(): Promise<number> {
      const { overdueFallbacks } = await queue();
      const { text } = await callApi(application, '/metrics');
      expect(text).toContain(`whatsapp_sms_fallback_fallbacks_overdue ${overdueFallbacks}\n`);
      const { body } = await callApi<{ items: unknown[] }>(application, '/api/v1/fallbacks?overdue=true');
      expect(body.items).toHaveLength(overdueFallbacks);
      return overdueFallbacks;
    }

    const soon = minutesAgo(-1);
    const claimed = { state: 'claimed', nextAttemptAt: soon } as const;

    it.each([
      ['that is tried again and again', { ...claimed, reason: 'twilio_unavailable' }],
      ['whose SMS is looked for', { ...claimed, state: 'uncertain', reason: 'no_answer_from_twilio' }],
      ['that Twilio asks to wait for', { ...claimed, nextAttemptAt: minutesAgo(-60) }],
      ['that was held until then', { ...claimed, createdAt: minutesAgo(60), dueSince: minutesAgo(20) }],
      [
        'that was tried again on purpose',
        { ...claimed, createdAt: minutesAgo(60), retriedAt: minutesAgo(20) },
      ],
    ] as const)('is overdue by its age: one %s', async (_, row) => {
      await seedFallback(application, { createdAt: minutesAgo(20), ...row });
      expect(await overdue()).toBe(1);
    });

    it.each([
      ['that is young', { ...claimed, createdAt: minutesAgo(10), nextAttemptAt: minutesAgo(9) }],
      ['that is held on purpose', { ...claimed, reason: 'held', dueSince: minutesAgo(-30) }],
      ['whose hold has just ended', { ...claimed, dueSince: minutesAgo(5) }],
      ['that was tried again just now', { ...claimed, retriedAt: minutesAgo(5) }],
      ['that has ended', { ...claimed, state: 'failed', reason: 'twilio_unavailable' }],
    ] as const)('is overdue by its age, and not one %s', async (_, row) => {
      await seedFallback(application, { createdAt: minutesAgo(60), ...row });
      expect(await overdue()).toBe(0);
    });
  });
});
