import { describe, expect, it } from '@jest/globals';
import { readOptions } from '../../chaos/options.js';
import { UsageError } from '../../simulator/command-line.js';

describe('the options of chaos', () => {
  it('have defaults', () => {
    expect(readOptions([])).toEqual({
      mode: 'faults',
      failovers: 20,
      addresses: 'both',
      seed: 1,
      minutes: 2,
      messagesPerSecond: 30,
      pollAfterMinutes: null,
      drainMinutes: 5,
      keep: false,
    });
    expect(readOptions(['--seed', '7', '--minutes', '0.5', '--poll-after', '0.5', '--keep'])).toMatchObject({
      seed: 7,
      minutes: 0.5,
      pollAfterMinutes: 0.5,
      keep: true,
    });
  });

  it('choose what goes wrong', () => {
    expect(readOptions(['--failover', '--addresses', 'hosts'])).toMatchObject({
      mode: 'failover',
      failovers: 20,
      addresses: 'hosts',
    });
    expect(readOptions(['--patroni'])).toMatchObject({ mode: 'patroni', failovers: 6 });
    expect(readOptions(['--patroni', '--failovers', '2'])).toMatchObject({ failovers: 2 });
  });

  it('can ask for help', () => {
    expect(readOptions(['-h'])).toBeUndefined();
  });

  it.each([
    [['--minutes', '0'], '--minutes is a number above 0 and up to 1440, not 0'],
    [['--rate', 'many'], '--rate is a number above 0 and up to 200, not many'],
    [['--sed', '2'], "Unknown option '--sed'"],
    [['--failover', '--patroni'], '--failover and --patroni exclude each other'],
    [['--failover', '--failovers', '0'], '--failovers is a number above 0 and up to 1000, not 0'],
    [['--failover', '--addresses', 'dns'], '--addresses is proxy, hosts, both, not dns'],
    [['fast'], "Unexpected argument 'fast'"],
  ])('are refused if they are %j', (args, message) => {
    const read = () => readOptions(args);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(message);
  });
});
