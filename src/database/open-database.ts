import type { Env } from '../config/env.js';
import { StartupError } from '../process/startup-error.js';
import { explainConnectionError } from './connection-problem.js';
import { clientOptions } from './data-source-options.js';
import { type DatabaseConnection, postgresServer } from './database-connection.js';
import { EmbeddedPostgres } from './embedded-postgres.js';
import { assertServer, type Session } from './preconditions.js';
import { WritableClient } from './writable-client.js';

const CONNECT_LIMIT_MILLISECONDS = 4_000;
const ANSWER_LIMIT_MILLISECONDS = 5_000;

/**
 * Opens the PostgreSQL server of `DATABASE_URL`, or the embedded one if that is not set.
 * @throws StartupError when it cannot be used, with the reason.
 */
export async function openDatabase(
  env: Pick<Env, 'DATABASE_URL' | 'EMBEDDED_DATA_DIR'>,
): Promise<DatabaseConnection> {
  if (env.DATABASE_URL === undefined) return EmbeddedPostgres.start({ dataDir: env.EMBEDDED_DATA_DIR });
  const connection = postgresServer(env.DATABASE_URL);
  await assertUsable(connection, env.DATABASE_URL);
  return connection;
}

/** Reports problems of DATABASE_URL and of its server to the operator before anything else fails. */
async function assertUsable(connection: DatabaseConnection, url: string): Promise<void> {
  const connect = () => openSession(connection);
  let session: Session | undefined;
  try {
    session = await connect();
    await assertServer({ ...session, url, connect });
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw new StartupError(explainConnectionError(error), { cause: error });
  } finally {
    session?.end();
  }
}

/** Opens a connection like the service's own, outside of any pool. */
async function openSession(connection: DatabaseConnection): Promise<Session> {
  const client = new WritableClient({
    ...clientOptions(connection),
    connectionTimeoutMillis: CONNECT_LIMIT_MILLISECONDS,
    query_timeout: ANSWER_LIMIT_MILLISECONDS,
  });
  const end = () => {
    client.end().catch(() => undefined);
  };
  try {
    await client.connect();
  } catch (error) {
    end();
    throw error;
  }
  return {
    query: async <Row extends object>(sql: string, parameters?: unknown[]) =>
      (await client.query<Row>(sql, parameters)).rows,
    end,
  };
}
