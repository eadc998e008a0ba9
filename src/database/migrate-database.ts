import { Logger as JobQueueLogger, runMigrations } from 'graphile-worker';
import { type ClientBase, Pool } from 'pg';
import { DataSource } from 'typeorm';
import { knownReason, StartupError } from '../process/startup-error.js';
import { dataSourceOptions, migrations, MIGRATIONS_TABLE } from './data-source-options.js';
import type { DatabaseConnection } from './database-connection.js';

/** Any number that nothing else in the database uses as an advisory lock. */
const MIGRATION_LOCK = 630_490_063;

/**
 * Brings the service's tables and the job queue's schema up to date.
 * Replicas that migrate at the same time take turns.
 * @returns the names of the migrations that were applied now.
 */
export async function migrateDatabase(connection: DatabaseConnection): Promise<string[]> {
  const pool = openPool(connection);
  const holder = await pool.connect();
  try {
    await holder.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await runMigrations({ pgPool: pool, noPreparedStatements: true, logger: silentLogger });
    return await migrateTables(connection, holder);
  } finally {
    // Closing the connection gives the lock back, but the embedded database has one session for all.
    await holder.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
    holder.release();
    await pool.end();
  }
}

function openPool(connection: DatabaseConnection): Pool {
  const pool = new Pool({ ...connection.client, max: 2 });
  // A connection that breaks fails its query; without a listener its error would end the process too.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** @param holder a connection that is free, whatever becomes of the others. */
async function migrateTables(connection: DatabaseConnection, holder: ClientBase): Promise<string[]> {
  // Without the limits on a statement: a migration may take its time.
  const dataSource = new DataSource({ ...dataSourceOptions(connection), extra: { max: 1 } });
  await dataSource.initialize();
  try {
    // Makes TypeORM's own table, where it is missing. What fails later is a migration.
    await dataSource.showMigrations();
    return await runTableMigrations(dataSource, holder);
  } finally {
    await dataSource.destroy();
  }
}

async function runTableMigrations(dataSource: DataSource, holder: ClientBase): Promise<string[]> {
  try {
    return (await dataSource.runMigrations()).map(({ name }) => name);
  } catch (error) {
    const query: Query = async (sql, parameters) => (await holder.query<object>(sql, parameters)).rows;
    // The database may be away by now.
    const [failed] = await missingMigrations(query).catch(() => []);
    const reason = knownReason(error) ?? (error instanceof Error ? error.message : String(error));
    throw new StartupError(
      [
        `The database cannot be migrated: ${reason}`,
        failed && `That was ${failed}. Those before it are applied, and the next try begins with it.`,
      ]
        .filter(Boolean)
        .join('\n'),
      { cause: error },
    );
  }
}

/** @throws StartupError when a migration is missing, naming the command to run. */
export async function assertMigrated(dataSource: DataSource): Promise<void> {
  const query: Query = (sql, parameters) => dataSource.query(sql, parameters);
  const missing = await missingMigrations(query);
  if (!(await exists(query, 'graphile_worker.migrations'))) missing.push('the schema of the job queue');
  if (missing.length > 0) {
    throw new StartupError(
      `The database is not migrated: ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing.\n` +
        'Run: npm run migrate',
    );
  }
}

type Query = (sql: string, parameters?: unknown[]) => Promise<unknown[]>;

async function missingMigrations(query: Query): Promise<string[]> {
  const applied = (await exists(query, MIGRATIONS_TABLE))
    ? ((await query(`select name from ${MIGRATIONS_TABLE}`)) as { name: string }[])
    : [];
  return migrations
    .map(({ name }) => name)
    .filter((migration) => !applied.some(({ name }) => name === migration));
}

async function exists(query: Query, table: string): Promise<boolean> {
  const [row] = (await query('select to_regclass($1) is not null as exists', [table])) as {
    exists: boolean;
  }[];
  return row?.exists ?? false;
}

const silentLogger = new JobQueueLogger(() => () => undefined);
