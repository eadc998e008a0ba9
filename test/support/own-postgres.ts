import { describe } from '@jest/globals';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { freePort } from '../../harness/postgres-server.js';
import { type DatabaseConnection, postgresServer } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';

const run = promisify(execFile);

/** PostgreSQL refuses to run as root, so root runs it as `postgres`. */
interface User {
  readonly uid?: number;
  readonly gid?: number;
}

const programs = findPrograms();
const user = findUser();

/**
 * Describes tests that need their own server configuration or a standby. Skips them without PostgreSQL's programs
 * (TEST_POSTGRES_BIN, pg_config).
 */
export const describeWithOwnServer = programs === undefined || user === undefined ? describe.skip : describe;

/** A PostgreSQL server for one test, on 127.0.0.1. */
export class OwnPostgres {
  private isRunning = false;

  private constructor(
    private readonly folder: string,
    readonly port: number,
  ) {}

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<OwnPostgres> {
    const server = await OwnPostgres.inFolder();
    await server.execute('initdb', '-D', server.data, '-U', 'postgres', '-A', 'trust', '-N', '-E', 'UTF8');
    await server.startAgain(settings);
    return server;
  }

  /** A standby that follows the other server until it is promoted. */
  static async standbyOf(primary: OwnPostgres): Promise<OwnPostgres> {
    const server = await OwnPostgres.inFolder();
    await server.execute('pg_basebackup', '-D', server.data, '-R', '-c', 'fast', '-d', primary.url);
    await server.startAgain();
    return server;
  }

  private static async inFolder(): Promise<OwnPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'pg-'));
    if (user?.uid !== undefined && user.gid !== undefined) await chown(folder, user.uid, user.gid);
    return new OwnPostgres(folder, await freePort());
  }

  get url(): string {
    return `postgresql://postgres@127.0.0.1:${this.port}/postgres`;
  }

  get connection(): DatabaseConnection {
    return postgresServer(this.url);
  }

  async startAgain(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.folder,
      port: String(this.port),
      fsync: 'off',
      ...settings,
    };
    const options = Object.entries(all).map(([name, value]) => `-c ${name}=${value}`);
    const log = join(this.folder, 'log');
    await this.execute('pg_ctl', '-D', this.data, '-l', log, '-o', options.join(' '), '-w', 'start');
    this.isRunning = true;
  }

  /** Stops like a crash, without notice to clients. */
  async stopAtOnce(): Promise<void> {
    this.isRunning = false;
    await this.execute('pg_ctl', '-D', this.data, '-m', 'immediate', '-w', 'stop');
  }

  async promote(): Promise<void> {
    await this.execute('pg_ctl', '-D', this.data, '-w', 'promote');
  }

  async migrate(): Promise<void> {
    await migrateDatabase(this.connection);
  }

  /** Changes a setting of the running server. */
  async set(name: string, value: string): Promise<void> {
    await this.query(`alter system set ${name} = '${value}'`);
    await this.query('select pg_reload_conf()');
  }

  /** Runs one statement on its own connection. */
  async query<Row extends object>(sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.url, application_name: 'test' });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    if (this.isRunning) await this.stopAtOnce();
    await rm(this.folder, { recursive: true, force: true });
  }

  private get data(): string {
    return join(this.folder, 'data');
  }

  private async execute(program: string, ...args: readonly string[]): Promise<void> {
    await run(join(programs ?? '', program), args, { ...user, cwd: this.folder });
  }
}

function findPrograms(): string | undefined {
  const folders = [process.env.TEST_POSTGRES_BIN, outputOf('pg_config', '--bindir')];
  return folders.find((folder) => folder !== undefined && existsSync(join(folder, 'initdb')));
}

function findUser(): User | undefined {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = [outputOf('id', '-u', 'postgres'), outputOf('id', '-g', 'postgres')];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

function outputOf(program: string, ...args: readonly string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
