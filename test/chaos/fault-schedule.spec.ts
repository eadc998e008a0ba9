import { describe, expect, it } from '@jest/globals';
import { FAULT_WEIGHTS } from '../../chaos/fault-kinds.js';
import { scheduleFaults } from '../../chaos/fault-schedule.js';

const HALF_AN_HOUR = 30 * 60_000;

describe('the schedule of faults', () => {
  it('follows from the seed', () => {
    expect(scheduleFaults(7, HALF_AN_HOUR)).toEqual(scheduleFaults(7, HALF_AN_HOUR));
    expect(scheduleFaults(7, HALF_AN_HOUR)).not.toEqual(scheduleFaults(8, HALF_AN_HOUR));
  });

  it('is the beginning of a longer one with the same seed', () => {
    const short = scheduleFaults(7, 60_000);
    expect(scheduleFaults(7, HALF_AN_HOUR).slice(0, short.length)).toEqual(short);
  });

  it('has every kind of fault, and at least 200 kills, in half an hour', () => {
    const kinds = scheduleFaults(7, HALF_AN_HOUR).map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(Object.keys(FAULT_WEIGHTS)));
    expect(kinds.filter((kind) => kind === 'kill').length).toBeGreaterThanOrEqual(200);
  });
});
