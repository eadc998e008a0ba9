import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInFolder, createServiceDatabase, type ServiceDatabase } from '../support/service-database.js';
import { endServices, type ServiceEnv, ServiceProcess } from '../support/service-process.js';

describe('the compiled commands', () => {
  let database: ServiceDatabase | undefined;

  afterEach(async () => {
    await endServices();
    await database?.remove();
    database = undefined;
  });

  async function run(program: string, env: ServiceEnv, ...args: string[]) {
    const process = ServiceProcess.run(`commands/${program}`, env, args);
    const { code } = await process.ended;
    const { stdout, stderr } = process;
    expect(stderr).not.toMatch(/^\s+at /m);
    return { code, stdout, stderr };
  }

  it('need the database and nothing else, and print no log line', async () => {
    database = await createServiceDatabase();
    // An embedded one is migrated when it is first opened.
    await database.use(() => Promise.resolve());
    const list = await run('fallbacks', database.env, 'list', '--json');
    expect(list).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
    const retry = await run('fallbacks', database.env, 'retry', 'SM1');
    expect(retry).toMatchObject({ code: 1, stdout: '' });
    expect(retry.stderr).toContain('✖ There is no fallback of SM1');
    const replay = await run(
      'replay',
      { ...database.env, FALLBACK_ERROR_CODES: '63049,63024' },
      '--since',
      '1h',
    );
    expect(replay).toMatchObject({ code: 0, stderr: '' });
    expect(replay.stdout).toMatch(/^Policy failures \(63049, 63024\) from .*\nThere is none\.\n$/);
  });

  it('end with 2 where they are not understood', async () => {
    expect(await run('fallbacks', {}, 'retry')).toMatchObject({ code: 2, stdout: '' });
    expect(await run('replay', {})).toMatchObject({ code: 2, stdout: '' });
  });

  it('end with 1 and the reason where there is no database', async () => {
    const away = await run('fallbacks', { DATABASE_URL: 'postgresql://127.0.0.1:1/none' }, 'list');
    expect(away).toMatchObject({ code: 1, stdout: '' });
    expect(away.stderr).toContain('The database cannot be reached');
    const folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-none-'));
    await rm(folder, { recursive: true });
    const none = await run('fallbacks', { EMBEDDED_DATA_DIR: folder }, 'list');
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('Set DATABASE_URL to the database of the service');
  });

  it('say that the service is to be stopped first where its database is embedded', async () => {
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
