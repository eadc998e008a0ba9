import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { type DatabaseConnection, postgresServer } from '../../src/database/database-connection.js';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';

/**
 * A database of its own, not migrated: on the PostgreSQL server of `TEST_DATABASE_URL`, or embedded and in memory
 * where that is not set. `close()` removes it.
 */
export async function createEmptyDatabase(): Promise<DatabaseConnection> {
  const serverUrl = process.env.TEST_DATABASE_URL;
  return serverUrl === undefined ? EmbeddedPostgres.start() : createOnServer(serverUrl);
}

/** The same, migrated. */
export async function createTestDatabase(): Promise<DatabaseConnection> {
  const database = await createEmptyDatabase();
  await migrateDatabase(database);
  return database;
}

async function createOnServer(serverUrl: string): Promise<DatabaseConnection> {
  const name = `whatsapp_sms_fallback_test_${randomUUID().replaceAll('-', '')}`;
  await execute(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    ...postgresServer(url.toString()),
    close: () => execute(serverUrl, `drop database ${name} with (force)`),
  };
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
