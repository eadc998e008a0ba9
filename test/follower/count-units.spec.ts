import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { COUNT_UNITS, countedPeriods, type CountUnit } from '../../src/follower/event-counts.js';

const YEAR_IN_MINUTES = 525_600;
const BEGIN = Date.parse('2026-01-01T00:00:00Z');

function at(minute: number): Date {
  return new Date(BEGIN + minute * COUNT_UNITS.minute);
}

describe('the count units that cover a range', () => {
  it('are whole days in the middle, then hours, and minutes at the ends', () => {
    const from = new Date('2026-03-01T22:58:00Z');
    const to = new Date('2026-03-04T01:02:00Z');
    expect(countedPeriods(from, to, 'day')).toEqual([
      { unit: 'minute', from, to: new Date('2026-03-01T23:00:00Z') },
      { unit: 'hour', from: new Date('2026-03-01T23:00:00Z'), to: new Date('2026-03-02T00:00:00Z') },
      { unit: 'day', from: new Date('2026-03-02T00:00:00Z'), to: new Date('2026-03-04T00:00:00Z') },
      { unit: 'hour', from: new Date('2026-03-04T00:00:00Z'), to: new Date('2026-03-04T01:00:00Z') },
      { unit: 'minute', from: new Date('2026-03-04T01:00:00Z'), to },
    ]);
  });

  it('are no larger than a bucket', () => {
    const from = new Date('2026-03-01T00:00:00Z');
    const to = new Date('2026-03-03T00:00:00Z');
    expect(countedPeriods(from, to, 'hour')).toEqual([{ unit: 'hour', from, to }]);
    expect(countedPeriods(from, to, 'minute')).toEqual([{ unit: 'minute', from, to }]);
  });

  it('follow each other without a gap, align with their unit, and are few', () => {
    const minute = fc.integer({ min: 0, max: YEAR_IN_MINUTES });
    const largest = fc.constantFrom<CountUnit>('minute', 'hour', 'day');
    fc.assert(
      fc.property(minute, minute, largest, (one, other, unit) => {
        const [from, to] = [at(Math.min(one, other)), at(Math.max(one, other))];
        const periods = countedPeriods(from, to, unit);
        expect(periods.length).toBeLessThanOrEqual(5);
        const ends = periods.map((period) => period.to);
        expect(periods.map((period) => period.from)).toEqual(from < to ? [from, ...ends.slice(0, -1)] : []);
        expect(ends.at(-1) ?? to).toEqual(to);
        for (const period of periods) {
          const length = COUNT_UNITS[period.unit];
          expect([period.from.getTime() % length, period.to.getTime() % length]).toEqual([0, 0]);
          expect(length).toBeLessThanOrEqual(COUNT_UNITS[unit]);
        }
      }),
    );
  });
});
