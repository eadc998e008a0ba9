import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Returns a free port of 127.0.0.1. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  return address.port;
}

const run = promisify(execFile);

/** Settings by their names in postgresql.conf, without quotes in their values. */
export type PostgresSettings = Readonly<Record<string, string>>;

/** The user for the options of `spawn`; empty: the user of this program. */
export interface User {
  readonly uid?: number;
  readonly gid?: number;
}

/** PostgreSQL on 127.0.0.1 in its own folder. It refuses to run as root, so root runs it as `postgres`. */
export class PostgresServer {
  #isAway = false;
  #lastAwayAt = 0;

  private constructor(
    /** The folder of initdb, pg_ctl and pgbench. */
    readonly programs: string,
    private readonly folder: string,
    readonly port: number,
    private readonly user: User,
    private readonly settings: PostgresSettings,
  ) {}

  /**
   * @param folder must not exist yet; it gets the server's log as `log`.
   * @param settings override PostgreSQL's defaults.
   */
  static async start(folder: string, settings: PostgresSettings = {}): Promise<PostgresServer> {
    const server = await PostgresServer.prepare(folder, await freePort(), settings);
    await server.initialize();
    await server.startAgain();
    return server;
  }

  /** Prepares a server without data and without starting it. Parameters as for `start`. */
  static async prepare(
    folder: string,
    port: number,
    settings: PostgresSettings = {},
  ): Promise<PostgresServer> {
    const programs = findPrograms();
    const user = await ownFolder(folder);
    return new PostgresServer(programs, folder, port, user, settings);
  }

  /** @param options options of initdb. */
  async initialize(...options: readonly string[]): Promise<void> {
    await this.execute('initdb', '-D', this.data, '-U', 'postgres', '-A', 'trust', ...options);
  }

  get url(): string {
    return `postgresql://postgres@127.0.0.1:${String(this.port)}/postgres`;
  }

  serviceUrl(): string {
    return this.url;
  }

  /** The id of its first process, the parent of all others. */
  get pid(): number {
    return pidOf(this.data);
  }

  /** Whether it was unreachable at any time since `time`, in milliseconds since 1970. */
  wasAwaySince(time: number): boolean {
    return this.#isAway || this.#lastAwayAt >= time;
  }

  /** Whether it is down: from the stop command until it has started again. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Stops like a power failure: no transaction is ended and no client is notified. */
  async stopAtOnce(): Promise<void> {
    this.#isAway = true;
    await this.execute('pg_ctl', '-D', this.data, '-m', 'immediate', '-w', 'stop');
  }

  /** Stops as planned: clients are notified, and a standby gets everything. */
  async stop(): Promise<void> {
    this.#isAway = true;
    await this.execute('pg_ctl', '-D', this.data, '-m', 'fast', '-w', 'stop');
  }

  /** Sends SIGKILL to all its processes. */
  async kill(): Promise<void> {
    this.#isAway = true;
    await killPostgres(this.data);
  }

  /** Returns its processes except the first one. */
  async children(): Promise<Child[]> {
    return childrenOf(this.pid);
  }

  async startAgain(): Promise<void> {
    const settings = {
      ...this.settings,
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.folder,
    };
    const options = Object.entries(settings).map(([name, value]) => `-c '${name}=${String(value)}'`);
    const log = join(this.folder, 'log');
    await this.execute('pg_ctl', '-D', this.data, '-l', log, '-o', options.join(' '), '-w', 'start');
    this.#isAway = false;
    this.#lastAwayAt = Date.now();
  }

  /** Stops everything, in any state. */
  async close(): Promise<void> {
    if (!existsSync(join(this.data, 'postmaster.pid'))) return;
    await this.stopAtOnce();
  }

  /** The folder of the data. */
  get data(): string {
    return join(this.folder, 'cluster');
  }

  /** Runs a program of PostgreSQL as the server's user. */
  async execute(program: string, ...args: readonly string[]): Promise<void> {
    await run(join(this.programs, program), args, { ...this.user, cwd: this.folder });
  }
}

export interface Child {
  readonly pid: number;
  readonly command: string;
}

/** Sends SIGKILL to all processes of the server with this data. */
export async function killPostgres(data: string): Promise<void> {
  const pid = pidOf(data);
  // A stopped parent starts no other process.
  process.kill(pid, 'SIGSTOP');
  const pids = [pid, ...(await childrenOf(pid)).map((child) => child.pid)];
  for (const each of pids) killIfThere(each);
  while (pids.some(isThere)) await delay(20);
  await rm(join(data, 'postmaster.pid'));
}

function pidOf(data: string): number {
  return Number.parseInt(readFileSync(join(data, 'postmaster.pid'), 'utf8'), 10);
}

async function childrenOf(parent: number): Promise<Child[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,args=']);
  return stdout.split('\n').flatMap((line) => {
    const [pid, ppid, ...command] = line.trim().split(/\s+/);
    return Number(ppid) === parent ? [{ pid: Number(pid), command: command.join(' ') }] : [];
  });
}

function killIfThere(pid: number): void {
  if (isThere(pid)) process.kill(pid, 'SIGKILL');
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Finds the folder of initdb and pg_ctl: TEST_POSTGRES_BIN, pg_config's, or the newest of Debian's. */
export function findPrograms(): string {
  const folders = [process.env.TEST_POSTGRES_BIN, configuredFolder(), ...debianFolders()];
  const found = folders.find((folder) => folder !== undefined && existsSync(join(folder, 'initdb')));
  if (found !== undefined) return found;
  throw new Error(
    'There is no PostgreSQL to start: install one, or name the folder of initdb in TEST_POSTGRES_BIN',
  );
}

function configuredFolder(): string | undefined {
  try {
    return execFileSync('pg_config', ['--bindir'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

function debianFolders(): string[] {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root) : [];
  return versions
    .sort((left, right) => Number(right) - Number(left))
    .map((version) => join(root, version, 'bin'));
}

/** Makes a folder for a server. @returns the user that the server runs as. */
export async function ownFolder(folder: string): Promise<User> {
  const user = process.getuid?.() === 0 ? postgresUser() : null;
  await mkdir(folder);
  if (user !== null) await chown(folder, user.uid, user.gid);
  return user ?? {};
}

function postgresUser(): { uid: number; gid: number } {
  const id = (option: string) =>
    Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }).trim());
  return { uid: id('-u'), gid: id('-g') };
}
