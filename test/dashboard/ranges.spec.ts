import { describe, expect, it } from '@jest/globals';
import { beginOf, currentBucket, RANGES } from '../../dashboard/ranges.js';
import { statisticsQuery } from '../../src/operations/statistics.store.js';

describe('a time range of the page', () => {
  const begins: [string, string, string][] = [
    ['hour', '2026-03-01T10:20:59.999Z', '2026-03-01T09:20:00.000Z'],
    ['day', '2026-03-01T10:20:30.000Z', '2026-02-28T10:00:00.000Z'],
    ['day', '2026-03-01T10:00:00.000Z', '2026-02-28T10:00:00.000Z'],
    ['week', '2026-03-01T10:59:59.999Z', '2026-02-22T10:00:00.000Z'],
    ['fortnight', '2026-03-01T23:59:59.999Z', '2026-02-15T00:00:00.000Z'],
  ];

  it.each(begins)('(%s) that ends at %s begins with a whole bucket', (name, now, begin) => {
    const [range] = RANGES.filter((one) => one.name === name);
    expect(range && beginOf(range, Date.parse(now)).toISOString()).toBe(begin);
  });

  it.each(RANGES)('$label is one that the service counts', (range) => {
    const from = beginOf(range, Date.now()).toISOString();
    expect(statisticsQuery.safeParse({ from, bucket: range.bucket }).success).toBe(true);
  });

  const lasts: ['minute' | 'hour' | 'day', string, string][] = [
    ['minute', '2026-03-01T10:21:00.000Z', '2026-03-01T10:20:00.000Z'],
    ['hour', '2026-03-01T10:21:00.000Z', '2026-03-01T10:00:00.000Z'],
    // The service has rounded up to a whole minute, so the hour is not over.
    ['hour', '2026-03-01T11:00:00.000Z', '2026-03-01T10:00:00.000Z'],
    ['day', '2026-03-01T10:21:00.000Z', '2026-03-01T00:00:00.000Z'],
  ];

  it.each(lasts)('has a last %s that is still open if counting has reached %s', (bucket, to, begin) => {
    expect(new Date(currentBucket({ to, bucket })).toISOString()).toBe(begin);
  });
});
