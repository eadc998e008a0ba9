import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { TestApplication } from '../support/application.js';
import { DatabaseLine } from '../support/database-line.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

interface Health {
  readonly status: number;
  readonly body: unknown;
}

describe('the health of the service', () => {
  let database: DatabaseLine;
  let application: TestApplication;

  beforeEach(async () => {
    database = await DatabaseLine.open(await createTestDatabase());
    application = await TestApplication.start({ database });
    await untilReady();
  });

  afterEach(async () => {
    await application.close();
    await database.close();
  });

  async function health(path: 'live' | 'ready'): Promise<Health> {
    const response = await fetch(`${application.origin}/health/${path}`);
    return { status: response.status, body: await response.json() };
  }

  function untilReady(): Promise<Health> {
    return until('the service to be ready', async () => {
      const answer = await health('ready');
      return answer.status === 200 && answer;
    });
  }

  function untilNotReady(): Promise<Health> {
    return until('the service not to be ready', async () => {
      const answer = await health('ready');
      return answer.status === 503 && answer;
    });
  }

  it('is live and ready while the database answers and the worker runs', async () => {
    expect(await health('live')).toEqual({ status: 200, body: { status: 'ok' } });
    expect(await health('ready')).toEqual({
      status: 200,
      body: { status: 'ok', database: 'up', worker: 'up' },
    });
  });

  it('is live and not ready while the database is away, says no more, and is ready again by itself', async () => {
    database.cut();
    const answer = await untilNotReady();
    expect(answer.body).toEqual({
      status: 'error',
      database: 'down',
      worker: expect.stringMatching(/^(up|down)$/) as unknown,
    });
    expect(await health('live')).toEqual({ status: 200, body: { status: 'ok' } });
    database.mend();
    expect((await untilReady()).body).toEqual({ status: 'ok', database: 'up', worker: 'up' });
  });

  it('is not ready where the database accepts everything and answers nothing', async () => {
    database.hold();
    const started = Date.now();
    expect(await health('ready')).toMatchObject({ status: 503, body: { database: 'down' } });
    expect(Date.now() - started).toBeLessThan(12_000);
    database.cut();
  });

  // The embedded database cannot refuse connections of its own accord.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('is ready again by itself after the server has ended every connection and refused new ones', async () => {
      const admin = new Client(process.env.TEST_DATABASE_URL);
      await admin.connect();
      const name = new URL(database.url).pathname.slice(1);
      await admin.query(`alter database ${name} allow_connections false`);
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
      await untilNotReady();
      await admin.query(`alter database ${name} allow_connections true`);
      await untilReady();
      await admin.end();
    });
  }
});
