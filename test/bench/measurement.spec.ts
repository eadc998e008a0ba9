import { describe, expect, it } from '@jest/globals';
import { type MeasuredTurn, summarize } from '../../bench/measurement.js';
import { type BenchOptions, readOptions } from '../../bench/options.js';
import { chart, resultsOf, table } from '../../bench/report/report.js';
import { quantile, spreadOf } from '../../bench/report/statistics.js';

function turn(letter: string, round: number, rate: number): MeasuredTurn {
  return {
    ...{ letter, round, rate, name: `<${letter}>`, traffic: 'kept' },
    ...{ p50: 1, p99: 2, processor: 100, databaseProcessor: NaN },
  };
}

function defaults(): BenchOptions {
  const options = readOptions([]);
  if (options === undefined) throw new Error('The bench has no default options');
  return options;
}

describe('the summary of the bench', () => {
  it('has the median and the spread', () => {
    expect(spreadOf([5, 1, 9])).toEqual({ least: 1, median: 5, most: 9 });
    expect(spreadOf([4, 1, 9, 2])).toEqual({ least: 1, median: 3, most: 9 });
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
  });

  it('gives each rate as a ratio to the baseline of the same round', () => {
    const turns = [
      ...[turn('a', 1, 300), turn('b', 1, 100)],
      ...[turn('b', 2, 10), turn('a', 2, 20)],
      ...[turn('a', 3, 400), turn('b', 3, 100)],
    ];
    expect(summarize(turns, 'kept')).toMatchObject([
      { letter: 'a', ratio: { least: 2, median: 3, most: 4 }, processor: 100, databaseProcessor: null },
      { letter: 'b', ratio: { least: 1, median: 1, most: 1 } },
    ]);
    expect(summarize(turns, 'new')).toEqual([]);
  });

  it('has a chart of few and of many connections, whatever their names are', () => {
    const few = [turn('a', 1, 300), turn('b', 1, 100)];
    const many = few.map((one) => ({
      ...one,
      traffic: 'many' as const,
      rate: one.letter === 'a' ? 400 : 100,
    }));
    const results = resultsOf(defaults(), '15.18', {
      ...{ loadGenerator: 1, storedCallbacks: 1 },
      measurements: [...summarize(few, 'kept'), ...summarize(many, 'many')],
    });
    const svg = chart(results);
    expect(svg.match(/>[^<]*kept connections<|\(a\) &lt;a>|>\d\.\d\d</g)).toEqual([
      ...['>32 kept connections<', '(a) &lt;a>', '>3.00<', '>1.00<'],
      ...['>128 kept connections<', '(a) &lt;a>', '>4.00<', '>1.00<'],
    ]);
    expect(table(results)).toMatch(
      /^32 kept[^]*3\.00 \([^]*^128 kept[^]*4\.00 \([^]*^new connections, 32 at once/m,
    );
  });
});
