import pg from 'pg';

/** Drops the database that this run has copied, see test-database.ts. */
export default async function tearDown() {
  const { TEST_DATABASE_URL: server, TEST_TEMPLATE_DATABASE: name } = process.env;
  if (server === undefined) return;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  await client.query(`drop database if exists ${name}`);
  await client.query(`drop database if exists ${name}_new`);
  await client.end();
}
