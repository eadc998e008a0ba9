import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { DomainEventDispatcher } from '../../src/domain-events/domain-event-dispatcher.js';
import { ParcelListener, Parcels, ParcelsModule } from '../domain-events/parcels.js';
import { TestApplication } from '../support/application.js';
import { withDataSource } from '../support/service-database.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const STOPPED = 'The job queue stopped and will be started again';
const WORKS_AGAIN = 'The job queue works again';

jest.setTimeout(90_000);

/**
 * Reported: another session held a lock on graphile-worker's table of tasks while the service started.
 * graphile-worker 0.17.3 keeps the promise that was rejected then (src/taskIdentifiers.ts), and takes no job until it
 * is restarted: callbacks were answered 204, no SMS was sent, readiness said `worker: up`, and nothing was logged.
 *
 * For every such cause, the worker is reported down, an error says why, and it is restarted until it works.
 */
describe('a worker that takes no jobs', () => {
  let database: DatabaseConnection;
  let application: TestApplication | undefined;

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await application?.close();
    application = undefined;
    await database.close();
  });

  async function start(as = database): Promise<TestApplication> {
    application = await TestApplication.start({ database: as, imports: [ParcelsModule] });
    return application;
  }

  async function health(): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${application?.origin ?? ''}/health/ready`);
    return { status: response.status, body: await response.json() };
  }

  function untilWorker(state: 'up' | 'down'): Promise<unknown> {
    return until(
      `the worker to be ${state}`,
      () => application?.app.get(DomainEventDispatcher).state() === state,
      40_000,
    );
  }

  function untilStopped(): Promise<{ fields: readonly unknown[] }> {
    const isStop = (line: { level: string; message: string }) =>
      line.level === 'error' && line.message === STOPPED;
    return until('the log to say so', () => application?.logs.lines.find(isStop), 40_000);
  }

  /** Uses its own connection, because the service's connection may be part of the fault. */
  async function deliver(parcel: string): Promise<void> {
    await withDataSource(database, async ({ manager }) => {
      await application?.app.get(Parcels).deliver(parcel, manager);
    });
  }

  async function untilDelivered(parcel: string): Promise<void> {
    const listener = application?.app.get(ParcelListener);
    await until(
      'the event to be delivered',
      () => listener?.delivered.some((event) => event.parcel === parcel),
      40_000,
    );
  }

  async function expectOneErrorAndOneRecovery(): Promise<void> {
    const messages = () => application?.logs.messages() ?? [];
    await until('the log to say that it works', () => messages().includes(WORKS_AGAIN), 40_000);
    expect(messages().filter((message) => message === STOPPED)).toHaveLength(1);
    expect((await health()).body).toMatchObject({ worker: 'up' });
  }

  it('because of an error that graphile-worker keeps is down, says why, and recovers once it is gone', async () => {
    await withDataSource(database, async (dataSource) => {
      await dataSource.query(
        `create function refuse_task() returns trigger language plpgsql as
           $$ begin raise exception 'no tasks today'; end $$`,
      );
      await dataSource.query(
        `create trigger refuse_task before insert on whatsapp_sms_fallback_queue._private_tasks
           for each statement execute function refuse_task()`,
      );
    });
    await start();
    expect(JSON.stringify((await untilStopped()).fields)).toContain('no tasks today');
    expect(await health()).toMatchObject({
      status: 503,
      body: { status: 'error', worker: 'down', reason: expect.any(String) as unknown },
    });
    await application?.query('drop function refuse_task cascade');
    await deliver('after the error');
    await untilDelivered('after the error');
    await expectOneErrorAndOneRecovery();
  });

  it('without an error is restarted when jobs are due', async () => {
    await start();
    await untilWorker('up');
    // The task has another id by now, as after a restored backup.
    await application?.query(`update whatsapp_sms_fallback_queue._private_tasks set id = default`);
    await deliver('of another id');
    expect(JSON.stringify((await untilStopped()).fields)).toContain('although jobs are due');
    await untilDelivered('of another id');
    await expectOneErrorAndOneRecovery();
  });

  it('because its runner has ended without an error is restarted (graphile/worker#635)', async () => {
    await start();
    await untilWorker('up');
    const { worker } = application?.app.get(DomainEventDispatcher) as {
      worker: { workerPool: { gracefulShutdown(): Promise<void> } };
    };
    await worker.workerPool.gracefulShutdown();
    await untilStopped();
    await deliver('after the end');
    await untilDelivered('after the end');
    await expectOneErrorAndOneRecovery();
  });

  // These tests need a server: the embedded database has one session, and neither locks nor roles for others.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    const server = process.env.TEST_DATABASE_URL;

    async function withClient<Result>(
      url: string,
      work: (client: Client) => Promise<Result>,
    ): Promise<Result> {
      const client = new Client(url);
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end();
      }
    }

    it.each(['_private_tasks', '_private_jobs', 'migrations'])(
      'because another session has locked %s at its start takes them when the lock is gone',
      async (table) => {
        await withClient(database.client.connectionString ?? '', async (client) => {
          await client.query('begin');
          await client.query(`lock table whatsapp_sms_fallback_queue.${table} in access exclusive mode`);
          await start();
          await untilStopped();
          expect(await health()).toMatchObject({ status: 503, body: { worker: 'down' } });
          await client.query('commit');
        });
        await deliver('after the lock');
        await untilDelivered('after the lock');
        await expectOneErrorAndOneRecovery();
      },
    );

    it('because the server is read-only takes them once it is writable', async () => {
      const name = new URL(database.client.connectionString ?? '').pathname.slice(1);
      await start();
      await untilWorker('up');
      await withClient(server, async (admin) => {
        await admin.query(`alter database ${name} set default_transaction_read_only = on`);
        await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
          name,
        ]);
        expect(JSON.stringify((await untilStopped()).fields)).toContain('read-only');
        expect(await health()).toMatchObject({ status: 503, body: { database: 'down', worker: 'down' } });
        // Connections that were opened in the meantime stay read-only.
        await admin.query(`alter database ${name} reset default_transaction_read_only`);
      });
      await deliver('after the read-only time');
      await untilDelivered('after the read-only time');
      await expectOneErrorAndOneRecovery();
    });

    it('because its role has too few connections takes them once it has more', async () => {
      const role = `worker_${randomUUID().replaceAll('-', '')}`;
      const url = new URL(database.client.connectionString ?? '');
      await withClient(url.toString(), async (owner) => {
        await owner.query(`create role ${role} login bypassrls`);
        for (const schema of ['public', 'whatsapp_sms_fallback_queue']) {
          await owner.query(`grant all on schema ${schema} to ${role}`);
          await owner.query(`grant all on all tables in schema ${schema} to ${role}`);
          await owner.query(`grant all on all sequences in schema ${schema} to ${role}`);
        }
      });
      url.username = role;
      await start({ ...database, client: { connectionString: url.toString() } });
      await untilWorker('up');
      await withClient(server, async (admin) => {
        await admin.query(`alter role ${role} connection limit 0`);
        await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
          role,
        ]);
        expect(JSON.stringify((await untilStopped()).fields)).toContain('too many connections');
        await untilWorker('down');
        await admin.query(`alter role ${role} connection limit -1`);
      });
      await deliver('with more connections');
      await untilDelivered('with more connections');
      await expectOneErrorAndOneRecovery();
      await application?.close();
      application = undefined;
      await withClient(database.client.connectionString ?? '', async (owner) => {
        await owner.query(`drop owned by ${role}`);
        await owner.query(`drop role ${role}`);
      });
    });
  }
});
