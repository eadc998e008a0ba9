import { describe, expect, it } from '@jest/globals';
import { readList, readTime, readWholeNumber } from '../../src/commands/arguments.js';
import { type Command, UsageError } from '../../src/commands/command.js';
import { fallbacksCommand } from '../../src/commands/fallbacks-command.js';
import { replayCommand } from '../../src/commands/replay-command.js';
import { runCommand } from './run-command.js';

/** Without a database: what cannot be understood does not get that far. */
describe('a command line that is not understood', () => {
  const wrong: [command: string, args: string[], complaint: string][] = [
    ['fallbacks', [], 'Say what to do: list, show or retry'],
    ['fallbacks', ['lits'], 'There is list, show and retry, but no lits'],
    ['fallbacks', ['list', '--stat', 'failed'], "Unknown option '--stat'"],
    ['fallbacks', ['list', '--state', 'failed,gone'], '--state is one or more of claimed'],
    ['fallbacks', ['list', '--state', ','], '--state is empty'],
    ['fallbacks', ['list', '--since', 'yesterday'], '--since is a time such as'],
    ['fallbacks', ['list', '--limit', '0'], '--limit is a whole number from 1 to 10000, not 0'],
    ['fallbacks', ['list', 'SM1'], 'show SM1'],
    ['fallbacks', ['show'], 'show takes one name'],
    ['fallbacks', ['show', 'SM1', 'SM2'], 'show takes one name'],
    ['fallbacks', ['retry'], 'Say which to retry'],
    ['fallbacks', ['retry', '--yes'], 'Say which to retry'],
    ['fallbacks', ['retry', 'SM1', '--state', 'failed'], 'retry takes names or a filter, not both'],
    ['fallbacks', ['retry', '--state', 'sent'], 'What was sent is never sent again'],
    ['replay', [], '--since is missing'],
    ['replay', ['--since'], "Option '--since <value>' argument missing"],
    ['replay', ['2h'], '2h is too much'],
    ['replay', ['--since', '2h', '--until', '3h'], '--since is not before --until'],
  ];

  it.each(wrong)('%s %j ends with 2 and says why', async (name, args, complaint) => {
    const run = await (name === 'replay'
      ? runCommand(null, replayCommand, args)
      : runCommand(null, fallbacksCommand, args));
    expect(run).toMatchObject({ exitCode: 2, output: '' });
    expect(run.complaints).toContain(complaint);
    expect(run.complaints).not.toMatch(/\n/);
  });

  const asked: [args: string[], command: Command<unknown>, usage: string][] = [
    [['--help'], fallbacksCommand, 'npm run fallbacks -- list'],
    [['retry', '-h'], fallbacksCommand, 'npm run fallbacks -- retry'],
    [['--help'], replayCommand, 'npm run replay -- --since'],
  ];

  it.each(asked)('%j prints the usage and ends with 0', async (args, command, usage) => {
    const run = await runCommand(null, command, args);
    expect(run).toMatchObject({ exitCode: 0, complaints: '' });
    expect(run.output).toContain(usage);
  });
});

describe('a time of the command line', () => {
  it.each([
    ['2026-01-31T10:00:30.5Z', '2026-01-31T10:00:30.500Z'],
    ['2026-01-31T10:00+02:00', '2026-01-31T08:00:00.000Z'],
    ['2026-01-31 10:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
  ])('%s is %s', (text, time) => {
    expect(readTime('--since', text).toISOString()).toBe(time);
  });

  it.each([
    ['30m', 30],
    ['2h', 120],
    ['3d', 4_320],
    ['1w', 10_080],
  ])('%s is %i minutes ago', (text, minutes) => {
    const latest = Date.now() - minutes * 60_000;
    const time = readTime('--since', text).getTime();
    expect(time).toBeGreaterThanOrEqual(latest);
    expect(time).toBeLessThanOrEqual(Date.now() - minutes * 60_000);
  });

  it.each(['', '2', '5s', 'h', '-2h', '2026-13-01', '2026-01-31T25:00', '31.01.2026', '99999999999999d'])(
    '%j is none',
    (text) => {
      expect(() => readTime('--since', text)).toThrow(UsageError);
    },
  );
});

it('numbers and lists of the command line', () => {
  expect(readWholeNumber('--limit', '10000', 10_000)).toBe(10_000);
  expect(() => readWholeNumber('--limit', '10001', 10_000)).toThrow(UsageError);
  expect(() => readWholeNumber('--limit', '1e3', 10_000)).toThrow(UsageError);
  expect(readList('--reason', ' a, b,')).toEqual(['a', 'b']);
});
