import type { Surroundings } from '../harness/program.js';
import type { Traffic } from './callbacks.js';
import { BASELINE } from './contenders.js';
import type { BenchOptions } from './options.js';
import type { Report } from './report/report.js';
import { type Spread, spreadOf } from './report/statistics.js';

/** The context of every measurement. */
export interface BenchContext extends Surroundings {
  readonly options: BenchOptions;
}

export type Measure = (context: BenchContext) => Promise<Report>;

/** The result of one contender in one turn. */
export interface MeasuredTurn {
  readonly round: number;
  readonly letter: string;
  readonly name: string;
  readonly traffic: Traffic;
  /** Answers 204 a second; for pgbench, commits a second. */
  readonly rate: number;
  /** Latencies in milliseconds; NaN for pgbench. */
  readonly p50: number;
  readonly p99: number;
  /** Processor time for a callback, in microseconds: of its process and of PostgreSQL; NaN if unknown. */
  readonly processor: number;
  readonly databaseProcessor: number;
}

/** All turns of one contender with one kind of traffic. */
export interface Measurement {
  readonly letter: string;
  readonly name: string;
  readonly traffic: Traffic;
  readonly callbacksPerSecond: Spread;
  /** The ratio to the baseline in the same round, so that a slow phase of the machine affects both. */
  readonly ratio: Spread;
  /** Medians, as in a turn; null instead of NaN. */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly processor: number | null;
  readonly databaseProcessor: number | null;
  readonly rates: readonly number[];
}

export function summarize(turns: readonly MeasuredTurn[], traffic: Traffic): Measurement[] {
  const ofTraffic = turns.filter((turn) => turn.traffic === traffic);
  const letters = [...new Set(ofTraffic.map(({ letter }) => letter))].sort();
  return letters.map((letter) => measurementOf(ofTraffic, letter, traffic));
}

function measurementOf(turns: readonly MeasuredTurn[], letter: string, traffic: Traffic): Measurement {
  const own = turns.filter((turn) => turn.letter === letter);
  const rates = own.map(({ rate }) => rate);
  const ratios = own.map(({ rate, round }) => {
    const baseline = turns.find((turn) => turn.letter === BASELINE && turn.round === round);
    if (baseline === undefined) throw new Error(`Round ${round} has no turn of (${BASELINE})`);
    return rate / baseline.rate;
  });
  const median = (values: readonly number[]) => (values.some(Number.isNaN) ? null : spreadOf(values).median);
  return {
    letter,
    name: own[0]?.name ?? letter,
    traffic,
    callbacksPerSecond: spreadOf(rates),
    ratio: spreadOf(ratios),
    p50: median(own.map(({ p50 }) => p50)),
    p99: median(own.map(({ p99 }) => p99)),
    processor: median(own.map(({ processor }) => processor)),
    databaseProcessor: median(own.map(({ databaseProcessor }) => databaseProcessor)),
    rates,
  };
}
