import { Client, DatabaseError } from 'pg';
import type { Env } from '../config/env.js';
import { StartupError } from '../process/startup-error.js';
import { SESSION_LIMITS } from './data-source-options.js';
import { type DatabaseConnection, postgresServer } from './database-connection.js';
import { EmbeddedPostgres } from './embedded-postgres.js';

const CONNECT_LIMIT_MILLISECONDS = 4_000;

/**
 * The PostgreSQL server of `DATABASE_URL`, or the embedded one where that is not set.
 * @throws StartupError when it cannot be used, and why.
 */
export async function openDatabase(
  env: Pick<Env, 'DATABASE_URL' | 'EMBEDDED_DATA_DIR'>,
): Promise<DatabaseConnection> {
  if (env.DATABASE_URL === undefined) return EmbeddedPostgres.start({ dataDir: env.EMBEDDED_DATA_DIR });
  const connection = postgresServer(env.DATABASE_URL);
  await assertReachable(connection);
  return connection;
}

/** One connection, to tell the operator what is wrong with DATABASE_URL before anything else does. */
async function assertReachable({ client: address }: DatabaseConnection): Promise<void> {
  const client = new Client({
    ...address,
    ...SESSION_LIMITS,
    connectionTimeoutMillis: CONNECT_LIMIT_MILLISECONDS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw new StartupError(explain(error), { cause: error });
  } finally {
    client.end().catch(() => undefined);
  }
}

function explain(error: unknown): string {
  if (error instanceof DatabaseError && error.message.startsWith('unsupported startup parameter')) {
    return (
      `The database is behind a pooler that refuses what the service sets for each connection (${error.message}). ` +
      'Let it keep its sessions, and ignore these: in PgBouncer pool_mode = session and ' +
      `ignore_startup_parameters = ${Object.keys(SESSION_LIMITS).join(',')}.`
    );
  }
  if (error instanceof DatabaseError) return `The database refuses DATABASE_URL: ${error.message}`;
  // The attempts at several addresses of one name fail as one AggregateError, whose message is empty.
  const cause = error instanceof AggregateError ? (error.errors as unknown[])[0] : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return `The database cannot be reached: ${reason}. Is it running, and is DATABASE_URL right?`;
}
