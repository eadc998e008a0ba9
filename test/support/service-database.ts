import { rm } from 'node:fs/promises';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres.js';
import { createDataFolder, createTestDatabase } from './test-database.js';

/** A migrated database for processes of the service. */
export interface ServiceDatabase {
  /** The variables that connect a process to it. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs work on it from the test. If it is embedded, no process may have it open. */
  use<Result>(work: (dataSource: DataSource) => Promise<Result>): Promise<Result>;
  remove(): Promise<void>;
}

/** Creates it on the server of `TEST_DATABASE_URL`, or embedded if that is not set. */
export async function createServiceDatabase(): Promise<ServiceDatabase> {
  return process.env.TEST_DATABASE_URL === undefined ? createInFolder() : createOnServer();
}

/** Creates an embedded one in a temporary folder. */
export async function createInFolder(): Promise<ServiceDatabase> {
  const folder = await createDataFolder('migrated');
  return {
    env: { EMBEDDED_DATA_DIR: folder },
    use: async (work) => {
      const connection = await EmbeddedPostgres.start({ dataDir: folder });
      try {
        return await withDataSource(connection, work);
      } finally {
        await connection.close();
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function createOnServer(): Promise<ServiceDatabase> {
  const connection = await createTestDatabase();
  return {
    env: { DATABASE_URL: connection.client.connectionString ?? '' },
    use: (work) => withDataSource(connection, work),
    remove: () => connection.close(),
  };
}

/** Opens a data source on the database, and closes it after the work. */
export async function withDataSource<Result>(
  connection: DatabaseConnection,
  work: (dataSource: DataSource) => Promise<Result>,
): Promise<Result> {
  const dataSource = await new DataSource(dataSourceOptions(connection)).initialize();
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}
