import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compiled } from '../support/compiled.js';

const MODULE = compiled('src/process/logger.js').href;

/** The lines that a process logs with a logger, without their time and process. */
function linesOf(logger: string, calls: string): unknown[] {
  const program = `
    const { ConsoleLogger, Logger } = await import('@nestjs/common');
    const { createLogger } = await import(${JSON.stringify(MODULE)});
    const options = { logLevels: ['fatal', 'error', 'warn', 'log'], compact: true, breakLength: Infinity };
    const own = createLogger({ LOG_LEVEL: 'log', NODE_ENV: 'production' });
    const nest = new ConsoleLogger({ ...options, json: true, flattenParams: true, colors: false });
    Logger.overrideLogger(${logger});
    const logger = new Logger('Context');
    ${calls}`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      expect(JSON.parse(line)).toMatchObject({
        pid: expect.any(Number) as unknown,
        timestamp: expect.any(Number) as unknown,
      });
      return line.replace(/"pid":\d+,"timestamp":\d+,/, '');
    });
}

describe('the log in production', () => {
  it.each([
    ['a text', `logger.log('a text');`],
    ['the same text again and again', `for (let time = 0; time < 3; time += 1) logger.log('✅ "again"');`],
    ['one text in two contexts', `logger.log('a text'); new Logger('Another').log('a text');`],
    ['a text without a context', `new Logger('').log('a text'); Logger.log('another');`],
    ['more texts than are kept', `for (let text = 0; text < 500; text += 1) logger.log('text ' + text);`],
    ['a text with quotes, line feeds and lone surrogates', String.raw`logger.log('"\\\n\ud800\u2028é');`],
    ['a long text', `logger.log('x'.repeat(20_000)); logger.log('x'.repeat(20_000));`],
    ['fields', `logger.log('a text', { one: 1, two: 'zwei', three: null, four: undefined, five: true });`],
    ['fields with names of its own', `logger.log('a text', { message: 'no', level: 'no', context: 'no' });`],
    [
      'fields with names that every object has',
      `logger.log('a text', { constructor: 1, toString: 'no', one: 1 });`,
    ],
    ['a long text with fields', `logger.log('x'.repeat(20_000), { one: 1 });`],
    [
      'fields without a context',
      `new Logger('').log('a text', { one: 1 }); Logger.log('a text', { one: 1 });`,
    ],
    ['fields that have no value', `logger.log('a text', { one: undefined, two: undefined });`],
    ['fields with numbers for names', `logger.log('a text', { one: 1, 2: 'two' });`],
    ['a list', `logger.log('a text', [1, 'zwei']);`],
    ['two objects', `logger.log('a text', { one: 1 }, { two: 2 });`],
    [
      'fields of a class',
      `logger.log('a text', new (class { one = 1; })()); logger.log('a text', new Date(0));`,
    ],
    ['fields without a prototype', `logger.log('a text', Object.assign(Object.create(null), { one: 1 }));`],
    [
      'fields that JSON has no form for',
      `logger.log('a text', { big: 1n, symbol: Symbol('s'), call: () => 1 });`,
    ],
    ['a field with a long text', `logger.log('a text', { long: 'x'.repeat(20_000) });`],
    ['no fields', `logger.log('a text', {}); logger.log('a text', undefined); logger.log('a text', null);`],
    ['fields that nest', `logger.log('a text', { outer: { inner: ['list'] } });`],
    ['several texts', `logger.log('one', 'two', 'three');`],
    [
      'what is no text',
      `logger.log(5); logger.log({ an: 'object' }); logger.log(undefined); logger.log('');`,
    ],
    ['other levels', `logger.warn('a warning'); logger.debug('not logged'); logger.log('a text');`],
  ])('has the lines that Nest would write, of %s', (_, calls) => {
    const lines = linesOf('own', calls);
    expect(lines).toEqual(linesOf('nest', calls));
    expect(lines.length).toBeGreaterThan(0);
  });

  it('omits lines below the level', () => {
    const calls = `
      const quiet = createLogger({ LOG_LEVEL: 'warn', NODE_ENV: 'production' });
      Logger.overrideLogger(quiet);
      logger.log('a text');
      logger.warn('a warning');`;
    expect(linesOf('own', calls)).toEqual(['{"level":"warn","message":"a warning","context":"Context"}']);
  });
});
