import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../harness/postgres-server.js';
import { isListening } from './is-listening.js';
import { until } from './until.js';

const PROGRAM = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/opt/homebrew/bin/pgbouncer'].find(existsSync);

/** Why PgBouncer cannot run here; undefined if it can. */
export const withoutPgBouncer =
  process.env.TEST_DATABASE_URL === undefined
    ? 'TEST_DATABASE_URL is not set'
    : PROGRAM === undefined
      ? 'PgBouncer is not installed'
      : undefined;

/** PgBouncer's own settings. */
export type PgBouncerSettings = Readonly<Record<string, string | number>>;

/**
 * A PgBouncer in front of the server of `TEST_DATABASE_URL`. It refuses to run as root, so root runs it as
 * `postgres`.
 */
export class PgBouncer {
  private constructor(
    /** The URL of the database behind it. */
    readonly url: string,
    readonly close: () => Promise<void>,
  ) {}

  static async start(database: string, settings: PgBouncerSettings): Promise<PgBouncer> {
    const { hostname, port, username, pathname } = new URL(database);
    const folder = await mkdtemp(join(tmpdir(), 'pgbouncer-'));
    const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
    const listenPort = await freePort();
    const file = join(folder, 'pgbouncer.ini');
    const all = {
      listen_addr: '127.0.0.1',
      listen_port: listenPort,
      unix_socket_dir: '',
      auth_type: 'any',
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${String(value)}`);
    const target = `host=${hostname} port=${port || '5432'} user=${username}`;
    await writeFile(file, `[databases]\n* = ${target}\n\n[pgbouncer]\n${lines.join('\n')}\n`);
    if (user.uid !== undefined) for (const path of [folder, file]) await chown(path, user.uid, user.gid);
    const child = spawn(PROGRAM ?? '', [file], { ...user, cwd: folder, stdio: 'ignore' });
    const ended = once(child, 'close');
    await until('PgBouncer to listen', () => isListening(listenPort));
    return new PgBouncer(`postgresql://${username}@127.0.0.1:${listenPort}${pathname}`, async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    });
  }
}

function idOf(option: string): number {
  return Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
}
