import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { migrations } from '../../migrations/migrations.js';
import { DatabaseLine } from '../support/database-line.js';
import { createEmptyDatabase } from '../support/test-database.js';
import { compiled } from '../support/compiled.js';

const CLI = createRequire(import.meta.url).resolve('typeorm/cli.js');
const DATA_SOURCE = fileURLToPath(compiled('ormconfig.js'));

const names = migrations.map(({ name }) => name);

type Env = Readonly<Record<string, string>>;

/** The real program that a developer uses to view and generate migrations, as `npx typeorm`. */
describe('TypeORM’s own command line', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-typeorm-'));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function typeorm(env: Env, command: string, ...args: string[]) {
    const child = spawn(process.execPath, [CLI, command, '-d', DATA_SOURCE, ...args], {
      cwd: folder,
      // node-postgres falls back to these without a setting.
      env: { PATH: process.env.PATH, NO_COLOR: '1', PGHOST: '127.0.0.1', PGPORT: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((done) => child.once('close', done));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { code, stdout, stderr };
  }

  async function expectShown(env: Env, mark: (index: number) => boolean): Promise<void> {
    const { code, stdout } = await typeorm(env, 'migration:show');
    expect(code).toBe(0);
    const shown = [...stdout.matchAll(/\[([ X])\] (?:\d+ )?(\S+)/g)].map(([, x, name]) => [name, x === 'X']);
    expect(shown).toEqual(names.map((name, index) => [name, mark(index)]));
  }

  async function expectAllToWork(env: Env): Promise<void> {
    await expectShown(env, () => false);
    const run = await typeorm(env, 'migration:run');
    expect(run.code).toBe(0);
    for (const name of names)
      expect(run.stdout).toContain(`Migration ${name} has been executed successfully.`);
    const check = await typeorm(env, 'migration:generate', 'change', '--check');
    expect(check).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('No changes in database schema'),
    });
    // Without --check, the program fails if there is nothing to generate.
    const generate = await typeorm(env, 'migration:generate', 'change');
    expect(generate).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('No changes in database schema were found'),
    });
    expect((await readdir(folder)).filter((file) => file.endsWith('.ts'))).toEqual([]);
    const revert = await typeorm(env, 'migration:revert');
    expect(revert.code).toBe(0);
    expect(revert.stdout).toContain(`Migration ${names.at(-1)} has been reverted successfully.`);
    await expectShown(env, (index) => index < names.length - 1);
  }

  it('shows, runs, checks, and reverts migrations of the database of DATABASE_URL', async () => {
    const database = await DatabaseLine.open(await createEmptyDatabase());
    try {
      await expectAllToWork({ DATABASE_URL: database.url });
    } finally {
      await database.close();
    }
  });

  it('does the same in the embedded database', () =>
    expectAllToWork({ EMBEDDED_DATA_DIR: join(folder, 'data') }));

  it('says what is wrong with DATABASE_URL, without a stack', async () => {
    const { code, stdout, stderr } = await typeorm({ DATABASE_URL: 'host/db' }, 'migration:show');
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('  DATABASE_URL must be a PostgreSQL URL');
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});
