import { setTimeout as delay } from 'node:timers/promises';
import { type ClientBase, Pool } from 'pg';
import { DataSource } from 'typeorm';
import { migrationsFor } from '../../migrations/migrations.js';
import { migrateJobQueue } from '../domain-events/graphile-worker.js';
import { hasApplicationTables, identifier } from '../messages/application-tables.js';
import { knownReason, StartupError } from '../process/startup-error.js';
import {
  clientOptions,
  dataSourceOptions,
  migrationPoolOptions,
  MIGRATIONS_TABLE,
  type ServicePoolOptions,
} from './data-source-options.js';
import { type DatabaseConnection, queueSchemaOf } from './database-connection.js';
import { advisoryLockHolder, Blockers } from './lock-blockers.js';
import {
  assertLayout,
  type LayoutOptions,
  layoutProblems,
  type Problem,
  type Query,
  rowProblems,
} from './preconditions.js';
import { WritableClient } from './writable-client.js';

/** Any number that nothing else in the database uses as an advisory lock. */
const MIGRATION_LOCK = 630_490_063;

/** SQLSTATEs of a lock timeout and of a deadlock. */
const LOCKED = ['55P03', '40P01'];

export interface MigrationOptions extends LayoutOptions {
  /** How long a migration, and every session queued behind it, waits for a lock. Default 1000. */
  readonly lockTimeoutMilliseconds?: number;
  /** How long to try for the locks of all migrations and for the turn of this process. Default 60000. */
  readonly patienceMilliseconds?: number;
  /** Pause between two tries. Default 2000. */
  readonly pauseMilliseconds?: number;
  /** Called with the current blocker whenever it changes. */
  readonly onWaiting?: (what: string) => void;
}

const CONNECT_LIMIT_MILLISECONDS = 10_000;

const DEFAULTS = { lockTimeoutMilliseconds: 1_000, patienceMilliseconds: 60_000, pauseMilliseconds: 2_000 };

/**
 * Brings the service's tables and the job queue's schema up to date. Replicas that migrate at the same time take turns.
 * The application keeps running: its writes wait at most for the lock timeout, however long a migration has to wait.
 * @returns the names of the migrations that were applied now.
 * @throws PreconditionError before anything is created, if the application's tables are missing or unsuitable.
 * @throws StartupError when a lock cannot be acquired, naming its holder.
 */
export async function migrateDatabase(
  connection: DatabaseConnection,
  options: MigrationOptions = {},
): Promise<string[]> {
  const migration = new Migration(connection, {
    ...DEFAULTS,
    onWaiting: () => undefined,
    newTables: false,
    ...options,
  });
  return migration.run();
}

class Migration {
  private readonly until: number;
  private told: string | undefined;

  constructor(
    private readonly connection: DatabaseConnection,
    private readonly limits: Required<MigrationOptions>,
  ) {
    this.until = Date.now() + limits.patienceMilliseconds;
  }

  async run(): Promise<string[]> {
    // A separate connection, which does not depend on the others.
    const holder = new WritableClient({
      ...clientOptions(this.connection),
      connectionTimeoutMillis: CONNECT_LIMIT_MILLISECONDS,
    });
    await holder.connect();
    try {
      await this.takeTurn(holder);
      const { schema } = this.connection;
      if (schema !== undefined) await holder.query(`create schema if not exists ${identifier(schema)}`);
      if (this.connection.applicationTables !== false) await assertLayout(queryOn(holder), this.limits);
      await this.patiently(holder, 'The job queue', () => this.migrateQueue());
      return await this.migrateTables(holder);
    } finally {
      // Closing the connection releases the lock, but the embedded database has one session for all.
      await holder.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
      await holder.end();
    }
  }

  private async takeTurn(holder: ClientBase): Promise<void> {
    for (;;) {
      const { rows } = await holder.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [
        MIGRATION_LOCK,
      ]);
      if (rows[0]?.taken === true) return;
      const other = await advisoryLockHolder(holder, MIGRATION_LOCK);
      this.tell(`another migration: ${other.description}`);
      if (!this.hasTime()) {
        throw new StartupError(
          `The database cannot be migrated: another migration has not ended: ${other.description}.\n${other.remedy}`,
        );
      }
      await this.pause();
    }
  }

  private async migrateQueue(): Promise<void> {
    const pool = new Pool(this.poolOptions());
    // A connection that breaks fails its query; without a listener its error would end the process too.
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    try {
      await migrateJobQueue(pool, queueSchemaOf(this.connection.schema));
    } finally {
      await pool.end();
    }
  }

  private async migrateTables(holder: ClientBase): Promise<string[]> {
    const query = queryOn(holder);
    const missing = await missingMigrations(query, this.connection);
    try {
      await this.patiently(holder, 'The database', () => this.runTableMigrations());
    } catch (error) {
      // The database may be unreachable by now.
      const [failed] = await missingMigrations(query, this.connection).catch(() => []);
      if (!(error instanceof MigrationError) || failed === undefined) throw error;
      throw new StartupError(
        `${error.message}\nThat was ${failed}. Those before it are applied, and the next try begins with it.`,
        { cause: error.cause },
      );
    }
    return missing;
  }

  private async runTableMigrations(): Promise<void> {
    const dataSource = new DataSource({ ...dataSourceOptions(this.connection), extra: this.poolOptions() });
    await dataSource.initialize();
    try {
      // Creates TypeORM's own table if it is missing. A later failure is a migration's.
      await dataSource.showMigrations();
      await dataSource.runMigrations().catch((error: unknown) => {
        throw new MigrationError(error);
      });
    } finally {
      await dataSource.destroy();
    }
  }

  /** Retries while a lock cannot be acquired. Finished work stays done. */
  private async patiently(holder: ClientBase, what: string, work: () => Promise<void>): Promise<void> {
    const blockers = this.connection.embedded ? null : new Blockers(holder);
    for (;;) {
      try {
        await (blockers === null ? work() : blockers.watchedDuring(work()));
        return;
      } catch (error) {
        const blocker = blockers?.last;
        if (!LOCKED.includes(codeOf(error)) || blocker === undefined) throw error;
        this.tell(blocker.description);
        if (!this.hasTime()) {
          throw new MigrationError(
            error,
            `${what} cannot be migrated: ${blocker.description}.\n${blocker.remedy}`,
          );
        }
      }
      await this.pause();
    }
  }

  private poolOptions() {
    return migrationPoolOptions(this.connection, this.limits.lockTimeoutMilliseconds);
  }

  private hasTime(): boolean {
    return Date.now() < this.until;
  }

  private pause(): Promise<void> {
    return delay(this.limits.pauseMilliseconds);
  }

  private tell(what: string): void {
    if (what !== this.told) this.limits.onWaiting(what);
    this.told = what;
  }
}

/** Finds what the application's tables refuse in a migrated database. */
export async function rowProblemsOf(connection: DatabaseConnection): Promise<Problem[]> {
  if (connection.applicationTables === false) return [];
  return withQuery(connection, rowProblems);
}

/** Finds the reasons against migrating this database. */
export async function layoutProblemsOf(connection: DatabaseConnection): Promise<Problem[]> {
  if (connection.applicationTables === false) return [];
  return withQuery(connection, (query) => layoutProblems(query));
}

async function withQuery<Result>(
  connection: DatabaseConnection,
  work: (query: Query) => Promise<Result>,
): Promise<Result> {
  const client = new WritableClient({
    ...clientOptions(connection),
    connectionTimeoutMillis: CONNECT_LIMIT_MILLISECONDS,
  });
  await client.connect();
  try {
    return await work(queryOn(client));
  } finally {
    await client.end();
  }
}

function queryOn(client: ClientBase): Query {
  return async <Row extends object>(sql: string, parameters?: unknown[]) =>
    (await client.query<Row>(sql, parameters)).rows;
}

/** A migration failed; `cause` has the reason. */
class MigrationError extends StartupError {
  constructor(cause: unknown, message = `The database cannot be migrated: ${reasonOf(cause)}`) {
    super(message, { cause });
  }
}

function reasonOf(error: unknown): string {
  return knownReason(error) ?? (error instanceof Error ? error.message : String(error));
}

function codeOf(error: unknown): string {
  const { code } = (error instanceof MigrationError ? error.cause : error) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** @throws StartupError when a migration is missing, naming the command to run. */
export async function assertMigrated(dataSource: DataSource): Promise<void> {
  const query: Query = <Row>(sql: string, parameters?: unknown[]) => dataSource.query<Row[]>(sql, parameters);
  const { schema } = dataSource.options.extra as ServicePoolOptions;
  const missing = await missingMigrations(query, {
    schema,
    applicationTables: hasApplicationTables(dataSource),
  });
  if (!(await exists(query, 'migrations', queueSchemaOf(schema))))
    missing.push('the schema of the job queue');
  if (missing.length > 0) {
    throw new StartupError(
      `The database is not migrated: ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing.\n` +
        'Run: npm run migrate',
    );
  }
}

async function missingMigrations(
  query: Query,
  connection: Pick<DatabaseConnection, 'schema' | 'applicationTables'>,
): Promise<string[]> {
  const applied = (await exists(query, MIGRATIONS_TABLE, connection.schema))
    ? await query<{ name: string }>(`select name from ${MIGRATIONS_TABLE}`)
    : [];
  return migrationsFor(connection)
    .map(({ name }) => name)
    .filter((migration) => !applied.some(({ name }) => name === migration));
}

/** Without a schema, the search_path decides. */
async function exists(query: Query, table: string, schema?: string): Promise<boolean> {
  const [row] = await query<{ exists: boolean }>('select to_regclass($1) is not null as exists', [
    schema === undefined ? table : `${identifier(schema)}.${table}`,
  ]);
  return row?.exists ?? false;
}
