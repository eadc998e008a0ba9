import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { policyFailure } from '../support/fallbacks.js';
import { ageJobs, withDomainEventsOptions } from '../support/job-queue.js';
import { randomMessageSid } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { callApi, withAdminKeys } from './api.js';

interface Queue {
  waiting: number;
  overdue: number;
  oldestAgeSeconds: number;
  exhausted: number;
}

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
    await application.query(`update graphile_worker._private_jobs set ${columns}`);
  }

  it('is empty at first', async () => {
    expect(await queue()).toEqual({ waiting: 0, overdue: 0, oldestAgeSeconds: 0, exhausted: 0 });
  });

  it('has the policy failures that wait, and tells for how long and that they are overdue', async () => {
    await policyFailure(application, randomMessageSid());
    expect(await queue()).toMatchObject({ waiting: 1, overdue: 0, exhausted: 0 });
    await ageJobs(application, 1);
    expect(await queue()).toMatchObject({ waiting: 1, overdue: 0 });
    await ageJobs(application, 3);
    await policyFailure(application, randomMessageSid());
    const { oldestAgeSeconds, ...counts } = await queue();
    expect(counts).toEqual({ waiting: 2, overdue: 1, exhausted: 0 });
    expect(oldestAgeSeconds).toBeGreaterThanOrEqual(180);
    expect(oldestAgeSeconds).toBeLessThan(240);
  });

  it('has none of the jobs of another application in the same database', async () => {
    const { waiting, overdue, exhausted } = await queue();
    const [foreign] = await application.query<{ id: string }>(
      `select id from graphile_worker.add_job('export_report', '{}', run_at => now() - interval '1 hour')`,
    );
    expect(await queue()).toMatchObject({ waiting, overdue, exhausted });
    await application.query('select graphile_worker.complete_jobs(array[$1::bigint])', [foreign?.id]);
  });

  it('takes what a worker has at this moment for no waiting, and what a dead one had for overdue', async () => {
    await ageJobs(application, 10);
    await changeJobs(`locked_by = 'a worker', locked_at = now() - interval '10 seconds'`);
    expect(await queue()).toMatchObject({ waiting: 0, overdue: 0 });
    await changeJobs(`locked_at = now() - interval '5 minutes'`);
    expect(await queue()).toMatchObject({ waiting: 2, overdue: 2 });
  });

  it('has the jobs that are out of attempts apart', async () => {
    await changeJobs('attempts = max_attempts, locked_by = null, locked_at = null');
    expect(await queue()).toEqual({ waiting: 0, overdue: 0, oldestAgeSeconds: 0, exhausted: 2 });
  });
});
