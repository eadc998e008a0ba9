import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { compiled } from '../support/compiled.js';

const PROGRAM = compiled('harness/program.js').href;
const COMMAND_LINE = compiled('simulator/command-line.js').href;

/** Runs this as the body of a program that ends with 2 if it fails. */
async function run(body: string, signal?: NodeJS.Signals) {
  const source = `
    import { setTimeout as delay } from 'node:timers/promises';
    import { runProgram } from '${PROGRAM}';
    import { UsageError } from '${COMMAND_LINE}';
    await runProgram(async ({ interrupted, say }) => { ${body} }, 2);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source]);
  child.stdout.once('data', () => signal !== undefined && child.kill(signal));
  const [printed, complained, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { printed, complained, code };
}

describe('a program that starts others', () => {
  it('ends with its exit code and logs its progress', async () => {
    const { printed, complained, code } = await run(`say('at work'); return 1;`);
    expect(code).toBe(1);
    expect(printed).toMatch(/^ +\d\.\d s  at work\n$/);
    expect(complained).toBe('');
  });

  it('says in one line what is wrong with its arguments', async () => {
    expect(await run(`throw new UsageError('--minutes is a number');`)).toEqual({
      printed: '',
      complained: '✖ --minutes is a number\n',
      code: 2,
    });
  });

  it('reports its own faults with the stack', async () => {
    const { complained, code } = await run(`throw new RangeError('a fault');`);
    expect(complained).toMatch(/^✖ RangeError: a fault\n {4}at /);
    expect(code).toBe(2);
  });

  it('is interrupted by a signal, whatever fails then', async () => {
    const { complained, code } = await run(
      `say('at work'); await delay(60_000, undefined, { signal: interrupted });`,
      'SIGINT',
    );
    expect(complained).toBe('✖ Interrupted by SIGINT\n');
    expect(code).toBe(2);
  });

  it('closes what it began and fails after an uncaught error', async () => {
    const { printed, complained, code } = await run(
      `setTimeout(() => { throw new RangeError('a fault'); });
       await delay(60_000, undefined, { signal: interrupted }).catch(() => undefined);
       say('all is ended');
       return 0;`,
    );
    expect(printed).toContain('all is ended');
    expect(complained).toMatch(/^✖ RangeError: a fault\n {4}at /);
    expect(code).toBe(2);
  });
});
