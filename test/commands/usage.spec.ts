import { describe, expect, it } from '@jest/globals';
import { InvalidArgumentError } from 'commander';
import { listOf, readTime, wholeNumber } from '../../src/commands/command.js';
import { runCommand } from './run-command.js';

/** Needs no database: an invalid command line fails earlier. */
describe('an invalid command line', () => {
  const wrong: [command: string, args: string[], complaint: string][] = [
    ['', [], "unknown command ''"],
    ['fallback', ['list'], "unknown command 'fallback' (Did you mean fallbacks?)"],
    ['--jsno', [], "unknown option '--jsno'"],
    ['migrate', ['--force'], "unknown option '--force'"],
    ['migrate', ['now'], 'too many arguments'],
    ['doctor', ['--jsno'], "unknown option '--jsno' (Did you mean --json?)"],
    ['fallbacks', [], 'A command is missing'],
    ['fallbacks', ['lits'], "unknown command 'lits' (Did you mean list?)"],
    ['fallbacks', ['list', '--stat', 'failed'], "unknown option '--stat' (Did you mean --state?)"],
    ['fallbacks', ['list', '--state', 'failed,gone'], 'Give one or more of claimed'],
    ['fallbacks', ['list', '--state', ','], 'It is empty'],
    ['fallbacks', ['list', '--since', 'yesterday'], 'Give a time such as'],
    ['fallbacks', ['list', '--limit', '0'], "'--limit <count>' argument '0' is invalid. Give a whole number"],
    ['fallbacks', ['list', 'SM1'], 'too many arguments'],
    ['fallbacks', ['show'], "missing required argument 'name'"],
    ['fallbacks', ['show', 'SM1', 'SM2'], 'too many arguments'],
    ['fallbacks', ['retry'], 'say which to retry'],
    ['fallbacks', ['retry', '--yes'], 'say which to retry'],
    ['fallbacks', ['retry', 'SM1', '--state', 'failed'], 'give names or a filter, not both'],
    ['fallbacks', ['retry', '--state', 'sent'], 'what was sent is never sent again'],
    ['replay', [], "required option '--since <time>' not specified"],
    ['replay', ['--since'], "option '--since <time>' argument missing"],
    ['replay', ['--since', '2h', 'more'], 'too many arguments'],
    ['replay', ['--since', '2h', '--until', '3h'], '--since is not before --until'],
    ['erase', [], '--number or --user-id is missing'],
    ['erase', ['--number', '5551234567'], 'It begins with its country'],
    ['erase', ['--user-id', 'hello'], 'Give a WhatsApp user ID'],
    ['erase', ['--number', '+15551234567', '--user-id', 'US.13491208655302741918'], 'cannot be used with'],
  ];

  it.each(wrong)('%s %j ends with 2 and says why', async (name, args, complaint) => {
    const run = await runCommand(null, name, args);
    expect(run).toMatchObject({ exitCode: 2, output: '' });
    expect(run.complaints).toContain(complaint);
    expect(run.complaints).toMatch(/^✖ .*\. See --help\.$/);
  });

  const asked: [command: string, args: string[], usage: string][] = [
    ['--help', [], 'fallbacks'],
    ['migrate', ['--help'], 'DATABASE_URL'],
    ['doctor', ['--help'], '--json'],
    ['fallbacks', ['--help'], 'npm run fallbacks -- list'],
    ['fallbacks', ['list', '--help'], '--limit <count>'],
    ['fallbacks', ['show', '--help'], '<name>'],
    ['fallbacks', ['retry', '-h'], '--ignore-age'],
    ['replay', ['--help'], 'npm run replay -- --since'],
    ['erase', ['--help'], '--user-id <id>'],
  ];

  it.each(asked)('%s %j prints the usage with its exit codes and ends with 0', async (name, args, usage) => {
    const run = await runCommand(null, name, args);
    expect(run).toMatchObject({ exitCode: 0, complaints: '' });
    expect(run.output).toContain(usage);
    expect(run.output).toContain('Exit codes: 0 done, 1 not done or something is wrong, 2 wrong usage.');
  });
});

describe('a time on the command line', () => {
  it.each([
    ['2026-01-31T10:00:30.5Z', '2026-01-31T10:00:30.500Z'],
    ['2026-01-31T10:00+02:00', '2026-01-31T08:00:00.000Z'],
    ['2026-01-31 10:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
  ])('%s is %s', (text, time) => {
    expect(readTime(text).toISOString()).toBe(time);
  });

  it.each([
    ['30m', 30],
    ['2h', 120],
    ['3d', 4_320],
    ['1w', 10_080],
  ])('%s is %i minutes ago', (text, minutes) => {
    const latest = Date.now() - minutes * 60_000;
    const time = readTime(text).getTime();
    expect(time).toBeGreaterThanOrEqual(latest);
    expect(time).toBeLessThanOrEqual(Date.now() - minutes * 60_000);
  });

  it.each(['', '2', '5s', 'h', '-2h', '2026-13-01', '2026-01-31T25:00', '31.01.2026', '99999999999999d'])(
    '%j is invalid',
    (text) => {
      expect(() => readTime(text)).toThrow(InvalidArgumentError);
    },
  );
});

it('numbers and lists on the command line are parsed', () => {
  expect(wholeNumber(10_000)('10000')).toBe(10_000);
  expect(() => wholeNumber(10_000)('10001')).toThrow(InvalidArgumentError);
  expect(() => wholeNumber(10_000)('1e3')).toThrow(InvalidArgumentError);
  expect(listOf()(' a, b,')).toEqual(['a', 'b']);
});
