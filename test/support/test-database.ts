import { describe } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { type DatabaseConnection, postgresServer } from '../../src/database/database-connection.js';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres.js';

type Template = 'empty' | 'migrated';

/** For what the embedded database cannot do: it serves one process, and one transaction at a time. */
export const describeOnServer = process.env.TEST_DATABASE_URL === undefined ? describe.skip : describe;

/**
 * A database of its own, not migrated: on the PostgreSQL server of `TEST_DATABASE_URL`, or embedded and in memory
 * where that is not set. `close()` removes it.
 */
export async function createEmptyDatabase(): Promise<DatabaseConnection> {
  return create('empty');
}

/** The same, migrated. */
export async function createTestDatabase(): Promise<DatabaseConnection> {
  return create('migrated');
}

/** @param dataDir where the data is; in memory where it is left out. */
export async function createEmbedded(template: Template, dataDir?: string): Promise<EmbeddedPostgres> {
  const path = join(fromGlobalSetup('TEST_TEMPLATES'), `${template}.tar`);
  return EmbeddedPostgres.start({ dataDir, loadFrom: new Blob([await readFile(path)]) });
}

async function create(template: Template): Promise<DatabaseConnection> {
  const serverUrl = process.env.TEST_DATABASE_URL;
  return serverUrl === undefined ? createEmbedded(template) : createOnServer(serverUrl, template);
}

async function createOnServer(serverUrl: string, template: Template): Promise<DatabaseConnection> {
  const name = `whatsapp_sms_fallback_test_${randomUUID().replaceAll('-', '')}`;
  const from = template === 'empty' ? 'template0' : fromGlobalSetup('TEST_TEMPLATE_DATABASE');
  await execute(serverUrl, `create database ${name} template ${from}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    ...postgresServer(url.toString()),
    close: () => execute(serverUrl, `drop database ${name} with (force)`),
  };
}

function fromGlobalSetup(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: global-setup.mjs has not run`);
  return value;
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
