import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.js';

const run = promisify(execFile);

/** By their names in postgresql.conf, without spaces in their values. */
export type PostgresSettings = Readonly<Record<string, string>>;

/** PostgreSQL on 127.0.0.1, in a folder of its own. It refuses to run as root, so root runs it as `postgres`. */
export class PostgresServer {
  #isAway = false;
  #lastAwayAt = 0;

  private constructor(
    /** The folder of initdb, pg_ctl and pgbench. */
    readonly programs: string,
    private readonly folder: string,
    private readonly port: number,
    private readonly user: { readonly uid?: number; readonly gid?: number },
    private readonly settings: PostgresSettings,
  ) {}

  /**
   * @param folder does not exist yet; the server's log is `log` in it.
   * @param settings instead of PostgreSQL's defaults.
   */
  static async start(folder: string, settings: PostgresSettings = {}): Promise<PostgresServer> {
    const programs = findPrograms();
    const user = process.getuid?.() === 0 ? postgresUser() : null;
    await mkdir(folder);
    if (user !== null) await chown(folder, user.uid, user.gid);
    const server = new PostgresServer(programs, folder, await freePort(), user ?? {}, settings);
    await server.#execute('initdb', '-D', server.#data, '-U', 'postgres', '-A', 'trust');
    await server.startAgain();
    return server;
  }

  get url(): string {
    return `postgresql://postgres@127.0.0.1:${String(this.port)}/postgres`;
  }

  /** Of its first process, the parent of all others. */
  get pid(): number {
    return Number.parseInt(readFileSync(join(this.#data, 'postmaster.pid'), 'utf8'), 10);
  }

  /** Whether it could not be reached at some time since then, in milliseconds since 1970. */
  wasAwaySince(time: number): boolean {
    return this.#isAway || this.#lastAwayAt >= time;
  }

  /** As a power failure would: no transaction is ended, no client is told. */
  async stopAtOnce(): Promise<void> {
    this.#isAway = true;
    await this.#execute('pg_ctl', '-D', this.#data, '-m', 'immediate', '-w', 'stop');
  }

  async startAgain(): Promise<void> {
    const settings = {
      ...this.settings,
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.folder,
    };
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${String(value)}`);
    const log = join(this.folder, 'log');
    await this.#execute('pg_ctl', '-D', this.#data, '-l', log, '-o', options.join(' '), '-w', 'start');
    this.#isAway = false;
    this.#lastAwayAt = Date.now();
  }

  /** Leaves nothing running, whatever state it is in. */
  async close(): Promise<void> {
    if (!existsSync(join(this.#data, 'postmaster.pid'))) return;
    await this.stopAtOnce();
  }

  get #data(): string {
    return join(this.folder, 'cluster');
  }

  async #execute(program: string, ...args: readonly string[]): Promise<void> {
    await run(join(this.programs, program), args, { ...this.user, cwd: this.folder });
  }
}

/** The folder of initdb and pg_ctl: TEST_POSTGRES_BIN, pg_config's, or the newest of Debian's. */
function findPrograms(): string {
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

function postgresUser(): { uid: number; gid: number } {
  const id = (option: string) =>
    Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }).trim());
  return { uid: id('-u'), gid: id('-g') };
}
