import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compiled } from '../support/compiled.js';

const MODULE = compiled('src/process/logger.js').href;

/** The output of a process that writes through a LineBuffer to its standard output, a pipe. */
function outputOf(work: string): { stdout: string; status: number | null } {
  const program = `
    const { LineBuffer } = await import(${JSON.stringify(MODULE)});
    const writes = [];
    const output = new LineBuffer({ write: (text) => { writes.push(text); return process.stdout.write(text); } });
    ${work}`;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  return { stdout, status };
}

describe('LineBuffer', () => {
  it('writes the lines of one turn of the event loop together, and waits for no other', () => {
    const { stdout } = outputOf(`
      output.write('a\\n');
      output.write('b\\n');
      await new Promise(setImmediate);
      output.write('c\\n');
      await new Promise(setImmediate);
      console.log(JSON.stringify(writes));`);
    expect(stdout).toBe(`a\nb\nc\n${JSON.stringify(['a\nb\n', 'c\n'])}\n`);
  });

  it('writes no more at once than its limit, and cuts no line', () => {
    const { stdout } = outputOf(`
      const chunks = [];
      const shared = new LineBuffer({ write: (text) => chunks.push(text) }, 10);
      for (const line of ['1234\\n', '1234\\n', '12\\n', '12345678\\n', 'a line that is longer\\n']) shared.write(line);
      shared.flush();
      console.log(JSON.stringify(chunks));`);
    expect(JSON.parse(stdout)).toEqual(['1234\n1234\n', '12\n', '12345678\n', 'a line that is longer\n']);
  });

  it.each([
    ['process.exit()', 'process.exit(3);', 3],
    ['an uncaught exception', `throw new Error('a bug');`, 1],
    ['an unhandled rejection', `await Promise.reject(new Error('a bug'));`, 1],
    ['the end of all work', '', 0],
  ])('loses nothing at %s', (_, end, status) => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}`);
    const result = outputOf(`
      for (let index = 0; index < ${lines.length}; index += 1) output.write('line ' + index + '\\n');
      ${end}`);
    expect(result.stdout.split('\n').slice(0, -1)).toEqual(lines);
    expect(result.status).toBe(status);
  });
});
