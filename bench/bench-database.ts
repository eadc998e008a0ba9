import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { PostgresServer } from '../harness/postgres-server.js';
import { messageSidOf } from './callbacks.js';

/** How many callbacks one statement looks up. */
const LOOK_UP = 10_000;

/** A database with the service's own schema, so that each contender writes the same table with the same indexes. */
export class BenchDatabase {
  private constructor(
    readonly url: string,
    private readonly client: Client,
  ) {}

  /** @param names the names of the databases. @returns one database for each name, in order. */
  static async createAll(server: PostgresServer, names: readonly string[]): Promise<BenchDatabase[]> {
    const template = new URL(server.url);
    template.pathname = '/migrated';
    await execute(server.url, 'create database migrated');
    const program = fileURLToPath(new URL('../src/commands/main.js', import.meta.url));
    const env = { PATH: process.env.PATH, DATABASE_URL: template.href };
    await promisify(execFile)(process.execPath, [program, 'migrate'], { env });
    const databases: BenchDatabase[] = [];
    for (const name of names) databases.push(await BenchDatabase.create(server, name));
    return databases;
  }

  /** Creates one more database, after `createAll`. */
  static async create(server: PostgresServer, name: string): Promise<BenchDatabase> {
    await execute(server.url, `create database ${name} template migrated`);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    const client = newClient(url.href);
    await client.connect();
    return new BenchDatabase(url.href, client);
  }

  /**
   * Empties the table before a turn.
   * @param messages for how many of the callbacks' messages the application has a row.
   */
  async clear(messages = 0): Promise<void> {
    await this.client.query('truncate message_events, messages, sms_fallbacks');
    if (messages === 0) return;
    await this.client.query(
      `insert into messages (twilio_sid, direction, channel, body, status)
       select twilio_sid, 'outbound', 'whatsapp', 'Your appointment is tomorrow at 10:00.', 'queued'
         from unnest($1::text[]) as twilio_sid`,
      [Array.from({ length: messages }, (_, index) => messageSidOf(index))],
    );
    await this.client.query('vacuum (analyze) messages');
  }

  /** @returns how many of these callbacks have no row. */
  async countMissing(acknowledged: Uint32Array, sidOf = messageSidOf): Promise<number> {
    let found = 0;
    for (let start = 0; start < acknowledged.length; start += LOOK_UP) {
      const messageSids = Array.from(acknowledged.subarray(start, start + LOOK_UP), sidOf);
      const [row] = await this.query<{ found: number }>(
        'select count(distinct message_sid)::int as found from message_events where message_sid = any ($1)',
        [messageSids],
      );
      found += row?.found ?? 0;
    }
    return acknowledged.length - found;
  }

  async query<Row extends object>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    const { rows } = await this.client.query<Row>(sql, parameters);
    return rows;
  }

  /** Returns the version, e.g. `15.18 (Debian 15.18-0+deb12u1)`. */
  async serverVersion(): Promise<string> {
    const [row] = await this.query<{ version: string }>(
      "select current_setting('server_version') as version",
    );
    return row?.version ?? '';
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

async function execute(url: string, sql: string): Promise<void> {
  const client = newClient(url);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/**
 * Creates a client with an error listener. If the connection breaks, the next query reports it; without a listener, the
 * error would end this program before its processes.
 */
function newClient(url: string): Client {
  const client = new Client({ connectionString: url, application_name: 'bench' });
  client.on('error', () => undefined);
  return client;
}
