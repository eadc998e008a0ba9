import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { Client } from 'pg';
import { migrations } from '../../migrations/migrations.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase, type MigrationOptions } from '../../src/database/migrate-database.js';
import { createEmptyDatabase, describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import { APPLICATION_TABLES, execute } from './application-tables.js';

jest.setTimeout(120_000);

// The embedded database has one session for all connections.
describeOnServer('a migration next to an open transaction of the application', () => {
  let database: DatabaseConnection;
  let transaction: Client;
  const waitedFor: string[] = [];

  beforeEach(async () => {
    waitedFor.length = 0;
    database = await createEmptyDatabase();
    await execute(database, APPLICATION_TABLES);
    transaction = new Client({ ...database.client, application_name: 'rails' });
    transaction.on('error', () => undefined);
    await transaction.connect();
    await transaction.query('begin');
  });

  afterEach(async () => {
    await transaction.end();
    await database.close();
  });

  function migrate(limits: MigrationOptions = {}): Promise<string[]> {
    return migrateDatabase(database, {
      pauseMilliseconds: 200,
      onWaiting: (what) => waitedFor.push(what),
      ...limits,
    });
  }

  /** The application writes like this all day. */
  async function write(): Promise<number> {
    const start = Date.now();
    await execute(
      database,
      `insert into messages (conversation_id, direction, channel) values (1, 'inbound', 'sms')`,
    );
    return Date.now() - start;
  }

  it.each([
    'update messages set status = status',
    'lock table messages in row exclusive mode',
    'lock table messages, conversations, companies in share row exclusive mode',
  ])('does not wait after "%s" if the tables have rows: it changes nothing of them', async (statement) => {
    await transaction.query(statement);
    expect(await migrate()).toEqual(migrations.map(({ name }) => name));
    expect(waitedFor).toEqual([]);
    await transaction.query('commit');
  });

  it('waits for a lock to index an empty table, while the application writes, and then ends', async () => {
    await execute(database, 'delete from messages');
    await transaction.query('lock table messages in row exclusive mode');
    const migrating = migrate({ patienceMilliseconds: 90_000 });
    await until('the migration to wait', () => waitedFor.length > 0, 60_000);
    expect(waitedFor[0]).toMatch(
      /^messages is locked by process \d+ \(application "rails", idle in transaction, since .* UTC\)$/,
    );
    // One second for the lock, and the delay of a busy machine.
    for (let writes = 0; writes < 10; writes += 1) expect(await write()).toBeLessThan(10_000);
    await transaction.query('commit');
    expect(await migrating).toEqual(migrations.map(({ name }) => name));
  });

  it('gives up in time and says what to do', async () => {
    await execute(database, 'delete from messages');
    await transaction.query('lock table messages in row exclusive mode');
    await expect(migrate({ patienceMilliseconds: 500 })).rejects.toThrow(
      /^The database cannot be migrated: messages is locked by process (\d+) \(.*\)\.\nLet it end, or end it with "select pg_terminate_backend\(\1\)", and try again\.\nThat was \w+\. Those before/,
    );
    await transaction.query('commit');
    expect(await migrate()).not.toHaveLength(0);
  });

  it('names another migration that does not end', async () => {
    await transaction.query('select pg_advisory_lock(630490063)');
    await expect(migrate({ patienceMilliseconds: 500 })).rejects.toThrow(
      /another migration has not ended: its lock is held by process \d+ \(application "rails"/,
    );
    expect(waitedFor).toHaveLength(1);
  });
});
