import { describe, expect, it } from '@jest/globals';
import { scheduleFailovers } from '../../chaos/failover-schedule.js';

describe('the schedule of failovers', () => {
  it('follows from the seed', () => {
    expect(scheduleFailovers(7, 20)).toEqual(scheduleFailovers(7, 20));
    expect(scheduleFailovers(7, 20)).not.toEqual(scheduleFailovers(8, 20));
  });

  it('is the beginning of a longer one with the same seed', () => {
    expect(scheduleFailovers(7, 20).slice(0, 5)).toEqual(scheduleFailovers(7, 5));
  });

  it('has every kind of end and address, hanging commits, and replicas that start meanwhile', () => {
    const failovers = scheduleFailovers(1, 20);
    expect(new Set(failovers.map(({ address }) => address))).toEqual(new Set(['at_once', 'late', 'stale']));
    expect(new Set(failovers.map(({ end }) => end))).toEqual(new Set(['killed', 'silent', 'stopped']));
    expect(failovers.some(({ hangs }) => hangs > 0)).toBe(true);
    expect(failovers.some(({ killedReplica }) => killedReplica !== null)).toBe(true);
  });
});
