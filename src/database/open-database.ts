import type { Env } from '../config/env.js';
import { type DatabaseConnection, postgresServer } from './database-connection.js';
import { EmbeddedPostgres } from './embedded-postgres.js';

/** The PostgreSQL server of `DATABASE_URL`, or the embedded one where that is not set. */
export async function openDatabase(
  env: Pick<Env, 'DATABASE_URL' | 'EMBEDDED_DATA_DIR'>,
): Promise<DatabaseConnection> {
  return env.DATABASE_URL === undefined
    ? EmbeddedPostgres.start({ dataDir: env.EMBEDDED_DATA_DIR })
    : postgresServer(env.DATABASE_URL);
}
