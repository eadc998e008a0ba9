import { describe, expect, it } from '@jest/globals';
import { readOptions } from '../../bench/options.js';
import { UsageError } from '../../simulator/command-line.js';

describe('the options of the bench', () => {
  it('have defaults, and --quick makes the turns short', () => {
    expect(readOptions([])).toMatchObject({
      turns: 7,
      milliseconds: 4_000,
      connections: 32,
      manyConnections: 128,
    });
    expect(readOptions(['--quick'])).toMatchObject({ turns: 5, milliseconds: 500 });
    expect(readOptions(['--quick', '--turns', '9', '--seconds', '1.5', '--out', 'elsewhere'])).toMatchObject({
      turns: 9,
      milliseconds: 1_500,
      out: 'elsewhere',
    });
  });

  it('name what is measured', () => {
    expect(readOptions([])).toMatchObject({ measurement: 'throughput' });
    expect(readOptions(['growth'])).toMatchObject({
      measurement: 'growth',
      rows: 10_000_000,
      postgresDefaults: false,
    });
    expect(readOptions(['growth', '--postgres-defaults'])).toMatchObject({ postgresDefaults: true });
    expect(readOptions(['soak', '--minutes', '2'])).toMatchObject({ measurement: 'soak', minutes: 2 });
  });

  it('can ask for help', () => {
    expect(readOptions(['--help'])).toBeUndefined();
  });

  it.each([
    [['--turns', '4'], '--turns is a whole number from 5 to 100, not 4'],
    [['--turns', '5.5'], '--turns'],
    [['--seconds', 'many'], '--seconds is a number of seconds from 0.1 to 60, not many'],
    [['--connections', '0'], '--connections'],
    [['--many-connections', '257'], '--many-connections is a whole number from 1 to 256, not 257'],
    [['--quik'], "Unknown option '--quik'"],
    [['quick'], 'Give one of throughput, latency, growth, operators, soak, unsigned, storm, not quick'],
    [['soak', 'growth'], 'not soak growth'],
    [['growth', '--rows', '10'], '--rows'],
    [['soak', '--minutes', '0.5'], '--minutes is a whole number from 1 to 60, not 0.5'],
    [['soak', '--minutes', '1.5'], '--minutes'],
  ])('are refused if they are %j', (args, message) => {
    const read = () => readOptions(args);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(message);
  });
});
