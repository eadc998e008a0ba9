import { rm } from 'node:fs/promises';
import pg from 'pg';

/** Removes the embedded databases of this run, and drops the database that it copied, see test-database.ts. */
export default async function tearDown() {
  const { TEST_DATABASE_URL: server, TEST_TEMPLATE_DATABASE: name, TEST_FOLDER: folder } = process.env;
  await rm(folder, { recursive: true, force: true });
  if (server === undefined) return;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  await client.query(`drop database if exists ${name}`);
  await client.query(`drop database if exists ${name}_new`);
  await client.end();
}
