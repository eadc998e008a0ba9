import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { TestApplication } from '../support/application.js';
import { DatabaseLine } from '../support/database-line.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

jest.setTimeout(60_000);

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

  it('is live and not ready while the database is unreachable, says why, and recovers by itself', async () => {
    database.cut();
    const answer = await untilNotReady();
    expect(answer.body).toEqual({
      status: 'error',
      database: 'down',
      worker: expect.stringMatching(/^(up|down)$/) as unknown,
      reason: 'The database cannot be reached, or does not confirm a commit in time.',
    });
    expect(await health('live')).toEqual({ status: 200, body: { status: 'ok' } });
    database.mend();
    expect((await untilReady()).body).toEqual({ status: 'ok', database: 'up', worker: 'up' });
  });

  it('is not ready if the database accepts everything and answers nothing', async () => {
    database.hold();
    const started = Date.now();
    expect((await untilNotReady()).body).toMatchObject({ database: 'down' });
    expect(Date.now() - started).toBeLessThan(12_000);
    database.cut();
  });

  it('makes one commit of one row for all requests within a second', async () => {
    await application.query('create table heartbeats (at timestamptz not null default now())');
    await application.query(
      `create function note_heartbeat() returns trigger language plpgsql as
         $$ begin insert into heartbeats default values; return null; end $$`,
    );
    await application.query(
      `create trigger note_heartbeat after insert or update on whatsapp_sms_fallback_heartbeat
         for each row execute function note_heartbeat()`,
    );
    const began = Date.now();
    const answers = await Promise.all(Array.from({ length: 50 }, () => health('ready')));
    const seconds = (Date.now() - began) / 1_000;
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
    const [row] = await application.query<{ commits: number }>(
      'select count(*)::int as commits from heartbeats',
    );
    // The last answer in beforeEach may still have been good.
    expect(row?.commits).toBeLessThanOrEqual(1 + Math.ceil(seconds));
  });

  it.each([
    [
      'the log refuses every event',
      'alter table message_events add constraint none check (false) not valid',
      'alter table message_events drop constraint none',
    ],
    [
      'jobs cannot be added',
      'alter function whatsapp_sms_fallback_queue.add_jobs rename to add_no_jobs',
      'alter function whatsapp_sms_fallback_queue.add_no_jobs rename to add_jobs',
    ],
  ])('is not ready after an event was refused, and as long as %s', async (_, refuse, accept) => {
    await application.query(refuse);
    const post = () =>
      postCallback(application, {
        parameters: statusParameters({
          MessageStatus: 'failed',
          ErrorCode: '63049',
          To: 'whatsapp:+15557654321',
        }),
      });
    expect((await post()).status).toBe(503);
    expect((await untilNotReady()).body).toMatchObject({ database: 'down' });
    const [before] = await application.query('select count(*)::int as events from message_events');
    await application.query(accept);
    await untilReady();
    // The rehearsed write is rolled back.
    expect(await application.query('select count(*)::int as events from message_events')).toEqual([before]);
    expect((await post()).status).toBe(204);
  });

  it('does not grow the table of its row', async () => {
    const row = 'insert into whatsapp_sms_fallback_heartbeat (committed_at) values (now())';
    for (let commits = 0; commits < 500; commits += 1) {
      await application.query(
        `${row} on conflict (only_row) do update set committed_at = excluded.committed_at`,
      );
    }
    const [size] = await application.query<{ bytes: number }>(
      `select pg_table_size('whatsapp_sms_fallback_heartbeat')::int as bytes`,
    );
    expect(size?.bytes).toBeLessThanOrEqual(8 * 8_192);
  });

  it('is not ready while the disk is full for callbacks, although a tiny commit succeeds', async () => {
    // PostgreSQL's message when a table cannot grow.
    await application.query(
      `create function refuse_growth() returns trigger language plpgsql as
         $$ begin raise exception 'No space left on device' using errcode = '53100'; end $$`,
    );
    await application.query(
      `create trigger refuse_growth before insert on message_events for each row execute function refuse_growth()`,
    );
    await application.query(
      `create trigger refuse_growth before update on whatsapp_sms_fallback_heartbeat for each row
         when (new.padding is not null) execute function refuse_growth()`,
    );
    expect((await postCallback(application)).status).toBe(503);
    const { body } = await untilNotReady();
    expect(body).toMatchObject({ database: 'down', reason: "The database's disk is full." });
    // This also holds when no callback has failed for a while.
    await delay(6_000);
    expect(await health('ready')).toMatchObject({ status: 503, body: { database: 'down' } });
    await application.query('drop function refuse_growth cascade');
    await untilReady();
    expect((await postCallback(application)).status).toBe(204);
    const [heartbeat] = await application.query('select padding from whatsapp_sms_fallback_heartbeat');
    expect(heartbeat).toEqual({ padding: null });
  });

  // The embedded database cannot refuse connections by itself.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('recovers by itself after the server has ended every connection and refused new ones', async () => {
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

    it('is not ready while new connections are read-only', async () => {
      const admin = new Client(process.env.TEST_DATABASE_URL);
      await admin.connect();
      const name = new URL(database.url).pathname.slice(1);
      await admin.query(`alter database ${name} set default_transaction_read_only = on`);
      const { body } = await untilNotReady();
      expect(body).toMatchObject({
        database: 'down',
        reason: expect.stringContaining('read-only') as unknown,
      });
      await admin.query(`alter database ${name} reset default_transaction_read_only`);
      await untilReady();
      await admin.end();
    });

    it('is ready while the application locks its own tables, which store no event', async () => {
      const client = new Client(database.url);
      await client.connect();
      await client.query('begin; lock table messages, conversations, companies in access exclusive mode');
      expect((await postCallback(application)).status).toBe(204);
      expect((await health('ready')).status).toBe(200);
      await client.query('rollback');
      await client.end();
    });

    it.each(['message_events', 'message_event_outbox'])('is not ready while %s is locked', async (table) => {
      const client = new Client(database.url);
      await client.connect();
      await client.query(`begin; lock table ${table} in access exclusive mode`);
      expect((await postCallback(application)).status).toBe(503);
      await untilNotReady();
      await client.query('rollback');
      await client.end();
      await untilReady();
      expect((await postCallback(application)).status).toBe(204);
    });
  }
});
