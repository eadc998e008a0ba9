import { AnsweringTwilio } from './answering-twilio.js';
import { type ServiceWorld, withServiceWorld } from './bench-world.js';
import { withClosers } from './closers.js';
import type { BenchContext } from './measurement.js';
import { asJson, circumstances, type Report } from './report/report.js';
import { spreadOf } from './report/statistics.js';
import { ContinuingTurns } from './take-turn.js';

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

/** More than the service stores in a second, on average over the minutes at full and at partial load. */
const MOST_CALLBACKS_PER_SECOND = 10_000;

const MEASURING_THE_MOST_MILLISECONDS = 10_000;

const SAMPLE_MILLISECONDS = 2_000;

/** Measures minutes of load below the maximum: memory, latency and connections must stay constant. */
export async function measureSoak(context: BenchContext): Promise<Report> {
  const { minutes, warmUpMilliseconds } = context.options;
  const seconds = minutes * 60 + (warmUpMilliseconds + MEASURING_THE_MOST_MILLISECONDS) / 1_000;
  const callbacks = Math.ceil(seconds * MOST_CALLBACKS_PER_SECOND * SHARE_OF_THE_MOST);
  return withClosers(async (closers) => {
    const twilio = await AnsweringTwilio.start();
    closers.push(() => twilio.close());
    // A quarter of the messages has no final status. With the default, ten minutes would pass without a poll.
    const settings = { STATUS_POLL_AFTER_MINUTES: '1', TWILIO_API_BASE_URL: twilio.baseUrl };
    return withServiceWorld({ names: ['soak'], callbacks, settings, say: context.say }, async (world) => {
      const soak = await measure(context, world);
      return soakReport({ ...soak, questions: twilio.questions }, world.postgresVersion);
    });
  });
}

async function measure(context: BenchContext, world: ServiceWorld): Promise<Omit<Soak, 'questions'>> {
  const { options, say } = context;
  const turns = new ContinuingTurns(world, context);
  say('warming up');
  await turns.take(options.warmUpMilliseconds);
  say('the most callbacks a second');
  const { rate: most } = await turns.take(MEASURING_THE_MOST_MILLISECONDS);
  const minutes: Minute[] = [];
  for (let minute = 1; minute <= options.minutes; minute += 1) {
    const memorySamples = sampleMemory(world);
    const { rate, result } = await turns.take(60_000, most * SHARE_OF_THE_MOST);
    const { p50, p99 } = result.latency;
    const megabytes = memorySamples.end();
    const measured = {
      ...{ minute, callbacksPerSecond: rate, p50, p99 },
      memory: meanOf(megabytes),
      leastMemory: Math.min(...megabytes),
      connections: await countConnections(world),
    };
    minutes.push(measured);
    say(minuteInWords(measured));
  }
  return { most, minutes };
}

/** Samples the memory of the process in megabytes, every other second until the end. */
function sampleMemory({ service }: ServiceWorld): { readonly end: () => readonly number[] } {
  const megabytes = () => service.server.residentMemory / 1e6;
  const samples = [megabytes()];
  const sampling = setInterval(() => {
    samples.push(megabytes());
  }, SAMPLE_MILLISECONDS).unref();
  return {
    end: () => {
      clearInterval(sampling);
      return samples;
    },
  };
}

async function countConnections({ service }: ServiceWorld): Promise<number> {
  const [row] = await service.database.query<{ connections: number }>(
    `select count(*)::int as connections from pg_stat_activity
      where datname = current_database() and application_name <> 'bench'`,
  );
  return row?.connections ?? NaN;
}
