import { DatabaseError } from 'pg';
import type { Env } from '../config/env.js';
import { StartupError } from '../process/startup-error.js';
import { clientOptions } from './data-source-options.js';
import { type DatabaseConnection, postgresServer } from './database-connection.js';
import { EmbeddedPostgres } from './embedded-postgres.js';
import { WritableClient } from './writable-client.js';

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
async function assertReachable(connection: DatabaseConnection): Promise<void> {
  const limit = { connectionTimeoutMillis: CONNECT_LIMIT_MILLISECONDS };
  const client = new WritableClient({ ...clientOptions(connection), ...limit });
  try {
    await client.connect();
  } catch (error) {
    throw new StartupError(explain(error), { cause: error });
  } finally {
    client.end().catch(() => undefined);
  }
}

function explain(error: unknown): string {
  if (error instanceof DatabaseError) return `The database refuses DATABASE_URL: ${error.message}`;
  // The attempts at several addresses of one name fail as one AggregateError, whose message is empty.
  const cause = error instanceof AggregateError ? (error.errors as unknown[])[0] : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return `The database cannot be reached: ${reason}. Is it running, and is DATABASE_URL right?`;
}
