import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { growingDelay } from '../../src/fallback/retry-decision.js';

const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const without = () => 0.5;

describe('growingDelay', () => {
  it.each([
    [0, 1_000],
    [1_000, 1_000],
    [2_000, 1_000],
    [10_000, 5_000],
    [119_000, 59_500],
    [120_000, 60_000],
    [86_400_000, 60_000],
  ])('after %i ms is about %i ms', (elapsed, expected) => {
    expect(growingDelay(elapsed, 1_000, without)).toBe(expected);
  });

  it('never shrinks with time, and stays between the shortest and a minute, except for the jitter', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 60_000 }), (one, other, shortest) => {
        const [earlier, later] = [Math.min(one, other), Math.max(one, other)];
        const [first, second] = [earlier, later].map((elapsed) => growingDelay(elapsed, shortest, without));
        expect(first).toBeLessThanOrEqual(second ?? 0);
        expect(first).toBeGreaterThanOrEqual(shortest);
        expect(second).toBeLessThanOrEqual(60_000);
      }),
    );
  });

  it('has a jitter of a quarter, so that retries spread out', () => {
    fc.assert(
      fc.property(fc.nat(), anyRandom, (elapsed, random) => {
        const share = growingDelay(elapsed, 1_000, () => random) / growingDelay(elapsed, 1_000, without);
        expect(share).toBeGreaterThanOrEqual(0.75);
        expect(share).toBeLessThanOrEqual(1.25);
      }),
    );
    expect(new Set(Array.from({ length: 20 }, () => growingDelay(5_000, 1_000))).size).toBeGreaterThan(1);
  });

  it('allows about a dozen looks in five minutes', () => {
    let looks = 0;
    for (let elapsed = 0; elapsed < 300_000; looks += 1) elapsed += growingDelay(elapsed, 1_000, without);
    expect(looks).toBeGreaterThanOrEqual(10);
    expect(looks).toBeLessThanOrEqual(20);
  });
});
