import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { migrations } from '../../migrations/migrations.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';
import { TestApplication } from '../support/application.js';
import { withDataSource } from '../support/service-database.js';
import { createEmptyDatabase } from '../support/test-database.js';

const sqlFile = new URL('../../migrations/create_message_events_table.sql', import.meta.url);
const names = migrations.map(({ name }) => name);

describe('migrateDatabase', () => {
  let database: DatabaseConnection;

  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  afterEach(async () => {
    await database.close();
  });

  async function execute<Row>(sql: string): Promise<Row[]> {
    const client = new Client(database.client);
    await client.connect();
    try {
      // Without parameters a query can hold several statements, and has a result for each.
      const result = await client.query<Row & object>(sql);
      return result.rows;
    } finally {
      await client.end();
    }
  }

  function tables(): Promise<{ name: string }[]> {
    return execute(
      `select schemaname || '.' || tablename as name from pg_tables
        where schemaname in ('public', 'whatsapp_sms_fallback_queue') order by 1`,
    );
  }

  it('creates the tables of the service and of the job queue, and says what it applied', async () => {
    expect(await migrateDatabase(database)).toEqual(names);
    const created = (await tables()).map(({ name }) => name);
    expect(created).toEqual(
      expect.arrayContaining([
        'whatsapp_sms_fallback_queue._private_jobs',
        'public.companies',
        'public.conversations',
        'public.message_events',
        'public.messages',
        'public.rejected_callbacks',
        'public.sms_fallbacks',
        'public.whatsapp_sms_fallback_migrations',
      ]),
    );
  });

  it('changes nothing the second time', async () => {
    await migrateDatabase(database);
    const before = await tables();
    expect(await migrateDatabase(database)).toEqual([]);
    expect(await tables()).toEqual(before);
  });

  it('works after create_message_events_table.sql was applied by hand, even twice', async () => {
    const sql = await readFile(sqlFile, 'utf8');
    await execute(sql);
    await execute(sql);
    await execute(
      `insert into message_events (message_sid, message_status, channel, account_sid, payload)
       values ('SM1', 'sent', 'whatsapp', 'AC1', '{}')`,
    );
    expect(await migrateDatabase(database)).toEqual(names);
    expect(await execute('select message_sid from message_events')).toEqual([{ message_sid: 'SM1' }]);
    await withDataSource(database, async (dataSource) => {
      expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
    });
  });

  it('can be reverted with TypeORM, which keeps the tables of the application', async () => {
    await migrateDatabase(database);
    await withDataSource(database, async (dataSource) => {
      for (const migration of names) {
        expect(migration).toBeDefined();
        await dataSource.undoLastMigration();
      }
    });
    const left = (await tables()).map(({ name }) => name).filter((name) => name.startsWith('public.'));
    expect(left).toEqual([
      'public.companies',
      'public.conversations',
      'public.messages',
      'public.whatsapp_sms_fallback_migrations',
    ]);
    expect(await migrateDatabase(database)).toEqual(names);
  });

  it('keeps the applied migrations if one fails, names that one, and continues from there', async () => {
    await execute('create table message_poll_watermarks (source text)');
    const failed = 'CreateFollowerTables1795996800002';
    await expect(migrateDatabase(database)).rejects.toMatchObject({
      name: 'StartupError',
      message:
        'The database cannot be migrated: column "key" of relation "message_poll_watermarks" does not exist\n' +
        `That was ${failed}. Those before it are applied, and the next try begins with it.`,
    });
    expect(await execute("select to_regclass('message_event_counts') as counts")).toEqual([{ counts: null }]);
    await execute('drop table message_poll_watermarks');
    expect(await migrateDatabase(database)).toEqual(names.slice(names.indexOf(failed)));
  });

  it('is required by a service on an empty database', async () => {
    await expect(TestApplication.start({ database })).rejects.toMatchObject({
      name: 'StartupError',
      message: `The database is not migrated: ${names.join(', ')}, the schema of the job queue are missing.\nRun: npm run migrate`,
    });
  });

  it('is required by a service on a database that lacks one migration', async () => {
    await migrateDatabase(database);
    await withDataSource(database, (dataSource) => dataSource.undoLastMigration());
    await expect(TestApplication.start({ database })).rejects.toMatchObject({
      name: 'StartupError',
      message: `The database is not migrated: ${names.at(-1) ?? ''} is missing.\nRun: npm run migrate`,
    });
  });

  it('is required by a service on a database that has the tables and no job queue', async () => {
    await withDataSource(database, (dataSource) => dataSource.runMigrations());
    await expect(TestApplication.start({ database })).rejects.toMatchObject({
      name: 'StartupError',
      message: 'The database is not migrated: the schema of the job queue is missing.\nRun: npm run migrate',
    });
  });

  // These tests need a server: the embedded database has one session, so its locks exclude no other, and psql cannot
  // connect to it.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('lets replicas that migrate at the same time take turns', async () => {
      const applied = await Promise.all(Array.from({ length: 4 }, () => migrateDatabase(database)));
      expect(applied.flat()).toEqual(names);
      expect(await withDataSource(database, (dataSource) => dataSource.showMigrations())).toBe(false);
    });

    it('works after create_message_events_table.sql was applied with psql', async () => {
      const { connectionString = '' } = database.client;
      const options = ['-q', '-v', 'ON_ERROR_STOP=1', '-f', fileURLToPath(sqlFile)];
      const { stderr } = await promisify(execFile)('psql', [connectionString, ...options]);
      expect(stderr).toBe('');
      expect(await migrateDatabase(database)).toEqual(names);
    });
  }
});
