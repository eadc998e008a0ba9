import { afterEach, describe, expect, it } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInFolder, createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, type ServiceEnv, ServiceProcess } from '../support/service-process.js';
import { compiled } from '../support/compiled.js';

const MAIN = fileURLToPath(compiled('src/commands/main.js'));

describe('every program', () => {
  const programs = [
    'src/main',
    'src/commands/main',
    'simulator/simulate',
    'simulator/serve',
    'simulator/demo/main',
    'simulator/demo/screenshots',
    'chaos/main',
    'bench/main',
  ];

  afterEach(endServices);

  it.each(programs)(
    '%s explains itself and its exit codes, and refuses an unknown option',
    async (program) => {
      const help = ServiceProcess.run(`../${program}`, {}, ['--help']);
      expect(await help.ended).toEqual({ code: 0, signal: null });
      expect(help.stderr).toBe('');
      expect(help.stdout).toContain('Exit codes: 0');
      const unknown = ServiceProcess.run(`../${program}`, {}, ['--unknown']);
      expect(await unknown.ended).toEqual({ code: 2, signal: null });
      expect(unknown.stdout).toBe('');
      expect(unknown.stderr).toMatch(/^✖ [^\n]*unknown[^\n]*\n$/i);
    },
  );
});

describe('the compiled program of the commands', () => {
  it('explains itself at once: it loads no code of the database or of Twilio for that', () => {
    const libraries = '/node_modules/(typeorm|pg|twilio)/';
    const script = `
      process.argv.push('main', '--help');
      process.on('exit', () => {
        const loaded = Object.keys(require('node:module')._cache).filter((file) => RegExp('${libraries}').test(file));
        console.error(JSON.stringify(loaded));
      });
      import(${JSON.stringify(compiled('src/commands/main.js'))});`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--eval', script], { encoding: 'utf8' });
    expect(stdout).toContain('fallbacks');
    expect(stderr.trim()).toBe('[]');
  });

  let database: ServiceDatabase | undefined;

  afterEach(async () => {
    await endServices();
    await database?.remove();
    database = undefined;
  });

  async function run(program: string, env: ServiceEnv, ...args: string[]) {
    const process = ServiceProcess.run('commands/main', env, [program, ...args]);
    const { code } = await process.ended;
    const { stdout, stderr } = process;
    expect(stderr).not.toMatch(/^\s+at /m);
    return { code, stdout, stderr };
  }

  it('needs only the database and prints no log line', async () => {
    database = await createServiceDatabase();
    // An embedded database is migrated when it is first opened.
    await database.use(() => Promise.resolve());
    const list = await run('fallbacks', database.env, 'list', '--json');
    expect(list).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
    const retry = await run('fallbacks', database.env, 'retry', 'SM1');
    expect(retry).toMatchObject({ code: 1, stdout: '' });
    expect(retry.stderr).toContain('✖ There is no fallback for SM1');
    const replay = await run(
      'replay',
      { ...database.env, FALLBACK_ERROR_CODES: '63049,63024' },
      '--since',
      '1h',
    );
    expect(replay).toMatchObject({ code: 0, stderr: '' });
    expect(replay.stdout).toMatch(/^Policy failures \(63049, 63024\) from .*\nNo policy failures found\.\n$/);
  });

  it('ends quietly when its reader closes the pipe', async () => {
    database = await createServiceDatabase();
    await database.use(async (dataSource) => {
      await dataSource.query(
        `insert into sms_fallbacks (original_message_sid, message_event_id, account_sid)
         select 'SM' || n, gen_random_uuid(), 'AC1' from generate_series(1, 3000) as n`,
      );
    });
    const shell = spawn(
      'bash',
      ['-c', '"$0" "$1" fallbacks list --limit 10000 | head -1', process.execPath, MAIN],
      {
        cwd: tmpdir(),
        env: { PATH: process.env.PATH, ...database.env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const [stdout, stderr] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
    expect(stdout).toMatch(/^id +original message +state .*\n$/);
    expect(stderr).toBe('');
  });

  it.each([
    ['whose reader is gone', '| true', 0, ''],
    ['whose output cannot be written', '>/dev/full', 1, '✖ The output cannot be written: '],
  ])('does its work even as one %s', async (_, redirection, code, complaint) => {
    database = await createServiceDatabase();
    await database.use(async (dataSource) => {
      await dataSource.query(
        `insert into message_events (message_sid, message_status, channel, to_number, account_sid, payload)
         values ('SM1', 'sent', 'whatsapp', '+15550123456', 'AC1', '{"To": "whatsapp:+15550123456"}')`,
      );
    });
    const command = `set -o pipefail; "$0" "$1" erase --number +15550123456 --yes ${redirection}`;
    const shell = spawn('bash', ['-c', command, process.execPath, MAIN], {
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, ...database.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(shell, 'exit') as Promise<[number]>;
    const [stderr, [exitCode]] = await Promise.all([text(shell.stderr), ended]);
    expect(stderr).toMatch(complaint === '' ? /^$/ : new RegExp(`^${complaint}.*\\n$`));
    expect(exitCode).toBe(code);
    await database.use(async (dataSource) => {
      expect(await dataSource.query('select to_number from message_events')).toEqual([{ to_number: null }]);
    });
  });

  it('prints one line when it is interrupted, and ends as a shell expects', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    const connected = once(silent, 'connection');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const command = ServiceProcess.run(
      'commands/main',
      { DATABASE_URL: `postgresql://127.0.0.1:${port}/x` },
      ['fallbacks', 'list'],
    );
    const [socket] = (await connected) as [Socket];
    command.signal('SIGINT');
    expect(await command.ended).toEqual({ code: 130, signal: null });
    expect(command.stdout).toBe('');
    expect(command.stderr).toMatch(/^✖ Interrupted \(SIGINT\)\. .*\n$/);
    socket.destroy();
    silent.close();
  });

  it('ends with 2 if it does not understand its arguments', async () => {
    expect(await run('fallbacks', {}, 'retry')).toMatchObject({ code: 2, stdout: '' });
    expect(await run('replay', {})).toMatchObject({ code: 2, stdout: '' });
  });

  it('ends with 1 and the reason if the database is missing', async () => {
    const away = await run('fallbacks', { DATABASE_URL: 'postgresql://127.0.0.1:1/none' }, 'list');
    expect(away).toMatchObject({ code: 1, stdout: '' });
    expect(away.stderr).toContain('The database cannot be reached');
    const folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-none-'));
    await rm(folder, { recursive: true });
    const none = await run('fallbacks', { EMBEDDED_DATA_DIR: folder }, 'list');
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('Set DATABASE_URL to the database of the service');
  });

  it('says to stop the service first if its database is embedded', async () => {
    database = await createInFolder();
    const service = await ServiceProcess.start(database.env);
    const busy = await run('fallbacks', database.env, 'list');
    expect(busy).toMatchObject({ code: 1, stdout: '' });
    expect(busy.stderr).toContain(
      'Set DATABASE_URL to the database of the service, or stop the service first',
    );
    service.signal('SIGTERM');
    await service.ended;
    expect(await run('fallbacks', database.env, 'list')).toMatchObject({ code: 0 });
  });
});
