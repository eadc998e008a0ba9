import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { TestApplication } from '../support/application.js';
import { describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';
import { ADMIN_KEY, callApi, withAdminKeys } from './api.js';

// The embedded database serves one transaction at a time, so no other one can hold a lock.
describeOnServer("operators' slow calls", () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  /** While `use` runs, requests for statistics wait until the database gives up. */
  async function whileStatisticsAreLocked(use: () => Promise<void>): Promise<void> {
    const owner = application.dataSource.createQueryRunner();
    await owner.startTransaction();
    try {
      await owner.query('lock table message_event_counts in access exclusive mode');
      await use();
    } finally {
      await owner.rollbackTransaction();
      await owner.release();
    }
  }

  async function waitingStatements(): Promise<number> {
    const [row] = await application.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query ilike '%message_event_counts%'`,
    );
    return row?.count ?? 0;
  }

  it('leave connections for callbacks, however many they are', async () => {
    const statistics: Promise<{ status: number }>[] = [];
    await whileStatisticsAreLocked(async () => {
      for (let calls = 0; calls < 24; calls += 1) statistics.push(callApi(application, '/api/v1/stats'));
      await until('the calls to wait', async () => (await waitingStatements()) >= 4);
      expect((await postCallback(application, { parameters: statusParameters() })).status).toBe(204);
      expect((await callApi(application, '/health/ready')).status).toBe(200);
      expect(await waitingStatements()).toBeLessThan(10);
    });
    const answers = await Promise.all(statistics);
    expect(answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([]);
    expect(answers.at(-1)?.status).toBe(200);
  });

  it('are answered 503 with Retry-After if a hundred already wait', async () => {
    const statistics: ReturnType<typeof callApi>[] = [];
    await whileStatisticsAreLocked(async () => {
      for (let calls = 0; calls < 120; calls += 1) statistics.push(callApi(application, '/api/v1/stats'));
      const refused = await Promise.race(statistics);
      expect(refused).toMatchObject({
        status: 503,
        body: { message: 'Too many calls at once: try again in a few seconds' },
      });
      expect(refused.headers.get('retry-after')).toBe('5');
    });
    const answers = await Promise.all(statistics);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(50);
  });
});

describe('searches with slow bodies', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys });
  });

  afterAll(async () => {
    await application.close();
  });

  /** The service has seen its head and told the client to continue. The rest of its body has yet to come. */
  async function beginSearch() {
    const body = JSON.stringify({ number: '+15557654321' });
    const search = request(`${application.origin}/api/v1/message-events/search`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${ADMIN_KEY}`,
        'Content-Type': 'application/json',
        'Content-Length': body.length,
        Expect: '100-continue',
      },
    });
    search.flushHeaders();
    await once(search, 'continue');
    search.write(body.slice(0, 10));
    return { search, rest: body.slice(10) };
  }

  it('delay no other request, and are answered once they have come', async () => {
    const begun = await Promise.all(Array.from({ length: 8 }, beginSearch));
    expect((await callApi(application, '/api/v1/message-events')).status).toBe(200);
    const answered = begun.map(({ search }) => once(search, 'response'));
    for (const { search, rest } of begun) search.end(rest);
    for (const [answer] of (await Promise.all(answered)) as [IncomingMessage][]) {
      expect(answer.statusCode).toBe(200);
      answer.resume();
    }
  });
});
