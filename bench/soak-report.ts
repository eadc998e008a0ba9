import { asJson, circumstances, type Report } from './report/report.js';
import { spreadOf } from './report/statistics.js';

export const SHARE_OF_THE_MOST = 0.7;

/** The length of the early and of the late period in minutes. The first minute belongs to neither. */
const WINDOW = 3;

export interface Minute {
  readonly minute: number;
  readonly callbacksPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Mean memory of the process in megabytes; NaN if unknown. */
  readonly memory: number;
  /** The least sampled memory: the closest to its real need, with little garbage. */
  readonly leastMemory: number;
  /** Connections to the database at the end. */
  readonly connections: number;
}

export interface Soak {
  readonly most: number;
  /** The number of polls for messages without a final status. */
  readonly questions: number;
  readonly minutes: readonly Minute[];
}

/** Ratios of the last three minutes to the minutes 2 to 4. */
interface Ratios {
  /** The ratio of the means. */
  readonly memoryRatio: number;
  /** Reported too, because the mean depends on the timing of garbage collection. */
  readonly leastMemoryRatio: number;
  /** The ratio of the medians, since a single stall of the machine's disk determines the p99 of its minute. */
  readonly p99Ratio: number;
}

export function soakReport(soak: Soak, postgresVersion: string): Report {
  const ratios = ratiosOf(soak.minutes);
  const text = [
    '',
    `At the most ${Math.round(soak.most)} callbacks a second; ${SHARE_OF_THE_MOST * 100} % of it:`,
    ...soak.minutes.map(minuteInWords),
    ratiosInWords(ratios),
    `Twilio was asked ${soak.questions} times about messages without a final status.`,
    '',
  ].join('\n');
  return { text, files: { 'soak.json': asJson({ ...circumstances(postgresVersion), ...soak, ...ratios }) } };
}

/** @returns undefined if some minutes would be both early and late: they would be compared with themselves. */
function ratiosOf(minutes: readonly Minute[]): Ratios | undefined {
  if (minutes.length < 1 + 2 * WINDOW) return undefined;
  const [early, late] = [minutes.slice(1, 1 + WINDOW), minutes.slice(-WINDOW)];
  const ratio = (value: (minute: Minute) => number, of: (values: readonly number[]) => number) =>
    of(late.map(value)) / of(early.map(value));
  return {
    memoryRatio: ratio(({ memory }) => memory, meanOf),
    leastMemoryRatio: ratio(({ leastMemory }) => leastMemory, meanOf),
    p99Ratio: ratio(
      ({ p99 }) => p99,
      (values) => spreadOf(values).median,
    ),
  };
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function minuteInWords(measured: Minute): string {
  const { minute, callbacksPerSecond, p50, p99, memory, leastMemory, connections } = measured;
  const megabytes = `${known(memory, 0)} MB (at least ${known(leastMemory, 0)})`;
  return `minute ${minute}: ${Math.round(callbacksPerSecond)} a second, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${megabytes}, ${connections} connections`;
}

function ratiosInWords(ratios: Ratios | undefined): string {
  if (ratios === undefined) return 'Whether memory and latency grow is told by seven minutes or more.';
  const { memoryRatio, leastMemoryRatio, p99Ratio } = ratios;
  return `The last three minutes to the minutes 2 to 4: mean memory ${known(memoryRatio, 3)}, least memory ${known(leastMemoryRatio, 3)}, median p99 ${p99Ratio.toFixed(2)}`;
}

/** Formats a value that is unknown on some systems, e.g. the memory of a process. */
function known(value: number, digits: number): string {
  return Number.isNaN(value) ? 'unknown' : value.toFixed(digits);
}
