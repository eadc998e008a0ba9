import type { DatabaseConnection } from '../src/database/database-connection.js';
import type { EmbeddedPostgresOptions } from '../src/database/embedded-postgres.js';

/** An embedded PostgreSQL for tests. */
export interface EmbeddedTestDatabase {
  /** Several applications may use it in turn. Closing one leaves it open. */
  readonly connection: DatabaseConnection;
  close(): Promise<void>;
}

/** Starts an empty embedded PostgreSQL, in memory by default. The service migrates it when it starts. */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedTestDatabase> {
  // PGlite is optional: the other exports work without it.
  const { EmbeddedPostgres } = await import('../src/database/embedded-postgres.js');
  const database = await EmbeddedPostgres.start(options);
  return {
    connection: { client: database.client, embedded: true, close: () => Promise.resolve() },
    close: () => database.close(),
  };
}
