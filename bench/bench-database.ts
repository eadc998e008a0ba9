import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { PostgresServer } from '../chaos/postgres-server.js';
import { messageSidOf } from './callbacks.js';

/** A database with the service's own schema, so that each contender writes the same table with the same indexes. */
export class BenchDatabase {
  private constructor(
    readonly url: string,
    private readonly client: Client,
  ) {}

  /** @param names of the databases. @returns one for each, in their order. */
  static async createAll(server: PostgresServer, names: readonly string[]): Promise<BenchDatabase[]> {
    const template = new URL(server.url);
    template.pathname = '/migrated';
    await execute(server.url, 'create database migrated');
    const program = fileURLToPath(new URL('../src/database/migrate.js', import.meta.url));
    const env = { PATH: process.env.PATH, DATABASE_URL: template.href };
    await promisify(execFile)(process.execPath, [program], { env });
    const databases: BenchDatabase[] = [];
    for (const name of names) {
      await execute(server.url, `create database ${name} template migrated`);
      const url = new URL(server.url);
      url.pathname = `/${name}`;
      const client = new Client({ connectionString: url.href, application_name: 'bench' });
      await client.connect();
      databases.push(new BenchDatabase(url.href, client));
    }
    return databases;
  }

  /** Every turn begins with an empty table. */
  async clear(): Promise<void> {
    await this.client.query('truncate message_events');
  }

  /** @returns how many of these callbacks have no row. */
  async countMissing(acknowledged: Uint32Array): Promise<number> {
    const { rows } = await this.client.query<{ message_sid: string }>(
      'select message_sid from message_events',
    );
    const stored = new Set(rows.map(({ message_sid }) => message_sid));
    return acknowledged.reduce((missing, index) => missing + (stored.has(messageSidOf(index)) ? 0 : 1), 0);
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
