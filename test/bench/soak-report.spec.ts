import { describe, expect, it } from '@jest/globals';
import { type Minute, soakReport } from '../../bench/soak.js';

/** Each value has 10 MB and 1 ms more than the previous one. */
function minutes(count: number): Minute[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ minute: index + 1, callbacksPerSecond: 3_000, p50: 2, p99: 50 + index },
    ...{ memory: 200 + 10 * index, leastMemory: 100 + 10 * index, connections: 6 },
  }));
}

function reportOf(measured: readonly Minute[]) {
  const { text, files } = soakReport({ most: 4_000, questions: 5, minutes: measured }, '15.18');
  return { text, figures: JSON.parse(files['soak.json'] ?? '') as Record<string, unknown> };
}

describe('the report of a soak', () => {
  it('compares the last three minutes with minutes 2 to 4', () => {
    const { text, figures } = reportOf(minutes(7));
    expect(text).toContain('minutes 2 to 4: mean memory 1.136, least memory 1.250, median p99 1.06');
    expect(figures).toMatchObject({
      postgres: '15.18',
      memoryRatio: 1.136,
      leastMemoryRatio: 1.25,
      p99Ratio: 1.058,
    });
  });

  it.each([1, 2, 6])('compares nothing after %i minutes, and says so', (count) => {
    const { text, figures } = reportOf(minutes(count));
    expect(text).toContain(`minute ${count}: 3000 a second, p50 2.0 ms`);
    expect(text).toContain('seven minutes or more');
    expect(text).not.toMatch(/NaN|Infinity|undefined|ratio/);
    expect(Object.keys(figures).filter((name) => name.endsWith('Ratio'))).toEqual([]);
  });

  it('says that the memory is unknown if the system does not report it', () => {
    const { text } = reportOf(minutes(7).map((minute) => ({ ...minute, memory: NaN, leastMemory: NaN })));
    expect(text).toContain('unknown MB (at least unknown), 6 connections');
    expect(text).toContain('mean memory unknown');
    expect(text).not.toContain('NaN');
  });
});
