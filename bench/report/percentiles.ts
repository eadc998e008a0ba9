import { quantile } from './statistics.js';

export interface Percentiles {
  readonly count: number;
  /** In milliseconds. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly longest: number;
}

/** @param sorted milliseconds in ascending order. */
export function percentiles(sorted: readonly number[]): Percentiles {
  return {
    count: sorted.length,
    p50: quantile(sorted, 0.5),
    p90: quantile(sorted, 0.9),
    p99: quantile(sorted, 0.99),
    longest: sorted.at(-1) ?? NaN,
  };
}
