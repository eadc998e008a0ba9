import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger, run, type Runner } from 'graphile-worker';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { Client, type Notification, Pool } from 'pg';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';
import { moveJobsOfEarlierVersions } from '../../src/domain-events/graphile-worker.js';
import { TestApplication } from '../support/application.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { createEmptyDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { ParcelListener, Parcels, ParcelsModule } from './parcels.js';

const MIGRATIONS = new URL('../../node_modules/graphile-worker/sql/', import.meta.url);

/** The last migration of graphile-worker 0.16, and of 0.17.3, which earlier versions of the service used. */
const OLDER = 18;
const SAME = 19;

/** Every object of a schema, and every row of graphile-worker's tables in it. */
const STATE = `
select string_agg(object, E'\n' order by object) as state from (
  select format('%s %s %s %s', attrelid::regclass, attname, atttypid::regtype, attnum) from pg_attribute
    join pg_class on pg_class.oid = attrelid
   where relnamespace = 'graphile_worker'::regnamespace and attnum > 0
  union all
  select format('%s %s', proname, md5(pg_get_functiondef(oid))) from pg_proc
   where pronamespace = 'graphile_worker'::regnamespace
  union all
  select format('%s %s', conname, pg_get_constraintdef(oid)) from pg_constraint
   where connamespace = 'graphile_worker'::regnamespace
  union all
  select format('%s %s %s', tgrelid::regclass, tgname, tgenabled) from pg_trigger
    join pg_class on pg_class.oid = tgrelid where relnamespace = 'graphile_worker'::regnamespace
  union all select to_jsonb(row)::text from graphile_worker.migrations as row
  union all select to_jsonb(row)::text from graphile_worker._private_jobs as row
  union all select to_jsonb(row)::text from graphile_worker._private_tasks as row
) as objects (object)`;

describe("an application's own graphile-worker in the same database", () => {
  let database: DatabaseConnection;
  let client: Client;
  let application: TestApplication | undefined;

  beforeEach(async () => {
    database = await createEmptyDatabase();
    client = new Client(database.client);
    await client.connect();
  });

  afterEach(async () => {
    await application?.close();
    application = undefined;
    await client.end();
    await database.close();
  });

  /** Creates the default schema with graphile-worker's own migrations. @param last the number of the last one. */
  async function installGraphileWorker(last: number): Promise<void> {
    await client.query(
      `create schema graphile_worker;
       create table graphile_worker.migrations (
         id int primary key, ts timestamptz default now() not null, breaking boolean not null default false
       )`,
    );
    for (const name of (await readdir(MIGRATIONS)).sort()) {
      const id = Number.parseInt(name, 10);
      if (!(id <= last)) continue;
      const sql = await readFile(new URL(name, MIGRATIONS), 'utf8');
      await client.query(sql.replaceAll(':GRAPHILE_WORKER_SCHEMA', 'graphile_worker'));
      await client.query('insert into graphile_worker.migrations (id) values ($1)', [id]);
    }
  }

  async function state(): Promise<unknown> {
    const { rows } = await client.query<{ state: string }>(STATE);
    return rows[0]?.state;
  }

  async function addJob(task: string, payload: unknown): Promise<void> {
    await client.query('select graphile_worker.add_job($1, $2::json)', [task, JSON.stringify(payload)]);
  }

  it('of an older version keeps its jobs and stays as it is, and both work', async () => {
    await installGraphileWorker(OLDER);
    await addJob('export_report', { report: 1 });
    await addJob('domain_event', { kind: 'of the application' });
    const before = await state();
    await migrateDatabase(database);
    application = await TestApplication.start({ database, imports: [ParcelsModule] });
    await application.app.get(Parcels).deliver('ours');
    await untilQueueIsEmpty(application);
    expect(application.app.get(ParcelListener).delivered).toMatchObject([{ parcel: 'ours' }]);
    // Migrates again, as each update does: by now the service has a table of migrations.
    await migrateDatabase(database);
    expect(await state()).toEqual(before);
    await addJob('export_report', { report: 2 });
  });

  it('of the same version keeps its jobs, and its own worker does them', async () => {
    await installGraphileWorker(SAME);
    await addJob('domain_event', { kind: 'of the application' });
    await migrateDatabase(database);
    await migrateDatabase(database);
    application = await TestApplication.start({ database, imports: [ParcelsModule] });
    const done: unknown[] = [];
    const pool = new Pool({ ...database.client });
    pool.on('error', () => undefined);
    pool.on('connect', (connection) => connection.on('error', () => undefined));
    const runner: Runner = await run({
      pgPool: pool,
      taskList: { domain_event: (payload) => void done.push(payload) },
      parsedCronItems: [],
      noHandleSignals: true,
      noPreparedStatements: database.embedded,
      pollInterval: 100,
      logger: new Logger(() => () => undefined),
    });
    await application.app.get(Parcels).deliver('ours');
    await untilQueueIsEmpty(application);
    await until("the application's job to be done", () => done.length > 0);
    expect(done).toEqual([{ kind: 'of the application' }]);
    expect(application.app.get(ParcelListener).delivered).toMatchObject([{ parcel: 'ours' }]);
    await runner.stop();
    await pool.end();
  });

  it('hands over only the jobs of an earlier version of the service', async () => {
    await migrateDatabase(database);
    await installGraphileWorker(SAME);
    const event = (parcel: string) => ({
      name: 'parcel.delivered',
      event: { id: randomUUID(), occurredAt: new Date().toISOString(), parcel },
    });
    await addJob('domain_event', event('waiting'));
    await addJob('domain_event', event('at work'));
    await addJob('domain_event', event('left by a worker that died'));
    await addJob('domain_event', { kind: 'of the application' });
    await addJob('export_report', event('of another task'));
    await client.query(
      `update graphile_worker._private_jobs set attempts = 3, last_error = 'No' where id = 1`,
    );
    await client.query(
      `update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a' where id = 2`,
    );
    await client.query(
      `update graphile_worker._private_jobs set locked_at = now() - interval '1 hour', locked_by = 'b' where id = 3`,
    );
    application = await TestApplication.start({ database, imports: [ParcelsModule] });
    const { app } = application;
    const parcels = () => app.get(ParcelListener).delivered.map(({ parcel }) => parcel);
    await until('the jobs to be taken over', () => parcels().length >= 2);
    expect(parcels().sort()).toEqual(['left by a worker that died', 'waiting']);
    const left = () => client.query('select id::int from graphile_worker._private_jobs order by id');
    expect((await left()).rows).toEqual([{ id: 2 }, { id: 4 }, { id: 5 }]);
    // A replica of the earlier version runs until it is replaced.
    await addJob('domain_event', event('added later'));
    await until('a later job to be taken over', () => parcels().includes('added later'));
    expect((await left()).rows).toEqual([{ id: 2 }, { id: 4 }, { id: 5 }]);
    await untilQueueIsEmpty(application);
  });

  it('hands over thousands of jobs, with the details of each', async () => {
    await migrateDatabase(database);
    await installGraphileWorker(SAME);
    await client.query(
      `insert into graphile_worker._private_tasks (identifier) values ('domain_event');
       insert into graphile_worker._private_jobs (task_id, payload, attempts, last_error)
       select task.id, json_build_object('name', 'parcel.delivered', 'event', json_build_object('id', n)), 3, 'No'
         from generate_series(1, 2500) as n, graphile_worker._private_tasks as task`,
    );
    const pool = new Pool({ ...database.client, max: 1 });
    expect(await moveJobsOfEarlierVersions(pool, 30_000)).toBe(2_500);
    expect(await moveJobsOfEarlierVersions(pool, 30_000)).toBe(0);
    await pool.end();
    const { rows } = await client.query(
      `select task_identifier, attempts, last_error, count(*)::int as jobs
         from whatsapp_sms_fallback_queue.jobs group by 1, 2, 3`,
    );
    expect(rows).toEqual([{ task_identifier: 'domain_event', attempts: 3, last_error: 'No', jobs: 2_500 }]);
  });

  // The embedded database does not forward notifications, and has one role.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('gets no notification of our migrations, which would end its worker, and we get none of its', async () => {
      const heard: Notification[] = [];
      client.on('notification', (notification) => heard.push(notification));
      await client.query('listen "worker:migrate"');
      await migrateDatabase(database);
      application = await TestApplication.start({ database, imports: [ParcelsModule] });
      await client.query(`select pg_notify('worker:migrate', '{"migrationNumber": 0}')`);
      await until('our own notification', () => heard.length > 0);
      expect(heard.map(({ payload }) => payload)).toEqual(['{"migrationNumber": 0}']);
      await client.query(`select pg_notify('worker:migrate', '{"migrationNumber": 20, "breaking": true}')`);
      await application.app.get(Parcels).deliver('after their migration');
      await untilQueueIsEmpty(application);
      expect(application.logs.messages().join('\n')).not.toMatch(/breaking migration|job queue stopped/);
      expect(process.exitCode).not.toBe(57);
    });

    it('of another role, which hides it, is left alone', async () => {
      const role = `service_${randomUUID().replaceAll('-', '')}`;
      const url = new URL(database.client.connectionString ?? '');
      await installGraphileWorker(SAME);
      await addJob('domain_event', { kind: 'of the application' });
      const before = await state();
      await client.query(`create role ${role} login`);
      await client.query(`grant create on database ${url.pathname.slice(1)} to ${role}`);
      await client.query(`grant all on schema public to ${role}`);
      url.username = role;
      const service = { ...database, client: { connectionString: url.toString() } };
      await migrateDatabase(service);
      await migrateDatabase(service);
      expect(await state()).toEqual(before);
      await client.query(`drop owned by ${role}`);
      await client.query(`drop role ${role}`);
    });
  }
});
