import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import cluster, { type Worker } from 'node:cluster';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeptProcess } from '../../src/cluster/kept-process.js';
import { CollectedLogs } from '../support/collected-logs.js';
import { until } from '../support/until.js';

/** Longer than a variable may be: the system refuses the process at once, as it does where it has no memory for one. */
const TOO_LONG = 'x'.repeat(2_000_000);

const PROGRAM = `require('node:net').createServer().listen(0, '127.0.0.1')`;

describe('a process that is kept', () => {
  let folder: string;
  let logs: CollectedLogs;
  let kept: KeptProcess;
  const listening: Worker[] = [];
  const env: Record<string, string> = {};

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-processes-'));
    const exec = join(folder, 'listen.cjs');
    await writeFile(exec, PROGRAM);
    cluster.setupPrimary({ exec, args: [], execArgv: [] });
    logs = new CollectedLogs();
    Logger.overrideLogger(logs);
    kept = new KeptProcess({ env, role: 'web', onListening: (worker) => listening.push(worker) });
  });

  afterEach(async () => {
    await kept.stop('SIGKILL');
    await rm(folder, { recursive: true });
  });

  it('is tried again where the system cannot make one, at its start and later', async () => {
    env.TOO_LONG = TOO_LONG;
    await kept.keep();
    await until('two more tries', () => logs.lines.length >= 3);
    expect(logs.lines.slice(0, 3)).toEqual(
      [500, 1_000, 2_000].map((afterMilliseconds) => ({
        level: 'error',
        message: 'A process cannot be started now and is tried again',
        fields: [{ role: 'web', error: 'Error: spawn E2BIG', afterMilliseconds }],
      })),
    );
    delete env.TOO_LONG;
    await until('the process to listen', () => listening.length > 0);
  });
});
