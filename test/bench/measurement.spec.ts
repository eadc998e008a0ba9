import { describe, expect, it } from '@jest/globals';
import { type MeasuredTurn, summarize } from '../../bench/measurement.js';
import { chart } from '../../bench/report/chart.js';
import { quantile, spreadOf } from '../../bench/report/statistics.js';

function turn(letter: string, round: number, rate: number): MeasuredTurn {
  return {
    ...{ letter, round, rate, name: `<${letter}>`, mode: 'kept' },
    ...{ p50: 1, p99: 2, processor: 100, databaseProcessor: NaN },
  };
}

describe('what the bench makes of its turns', () => {
  it('is the median and the spread', () => {
    expect(spreadOf([5, 1, 9])).toEqual({ least: 1, median: 5, most: 9 });
    expect(spreadOf([4, 1, 9, 2])).toEqual({ least: 1, median: 3, most: 9 });
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
  });

  it('is each rate as a ratio to the baseline of the same round', () => {
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

  it('is a chart, whatever the names are', () => {
    const svg = chart(summarize([turn('a', 1, 300), turn('b', 1, 100)], 'kept'));
    expect(svg).toContain('(a) &lt;a>');
    expect(svg).toContain('>3.00</text>');
  });
});
