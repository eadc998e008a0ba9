import { AnsweringTwilio } from './answering-twilio.js';
import type { BenchContext } from './bench-context.js';
import { type ServiceWorld, withServiceWorld } from './bench-world.js';
import { withClosers } from './closers.js';
import { ContinuingTurns } from './continuing-turns.js';
import { asJson, circumstances, type Report } from './report/report.js';
import { spreadOf } from './report/statistics.js';

/** More than the service stores in a second, on average over the minutes of its most and of a part of it. */
const MOST_CALLBACKS_PER_SECOND = 10_000;

const SHARE_OF_THE_MOST = 0.7;

const MEASURING_THE_MOST_MILLISECONDS = 10_000;

const SAMPLE_MILLISECONDS = 2_000;

interface Minute {
  readonly minute: number;
  readonly callbacksPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Mean of the process, in megabytes. */
  readonly memory: number;
  /** The least of what it had each time that it was looked at: nearest to what it needs, with little garbage in it. */
  readonly leastMemory: number;
  /** Connections to the database at the end. */
  readonly connections: number;
}

interface Soak {
  readonly most: number;
  /** How often Twilio was asked about a message without a final status. */
  readonly questions: number;
  readonly minutes: readonly Minute[];
  /** Mean of the last three minutes to the mean of the minutes 2 to 4. */
  readonly memoryRatio: number;
  /** Of the same minutes. The mean goes up and down with how long Node leaves its garbage alone. */
  readonly leastMemoryRatio: number;
  /** Of the medians, since a single moment in which the machine's disk stands still is the p99 of its minute. */
  readonly p99Ratio: number;
}

/** Minutes of load below the most: memory, latency and connections must stay as they are. */
export async function measureSoak(context: BenchContext): Promise<Report> {
  const { minutes, warmUpMilliseconds } = context.options;
  const seconds = minutes * 60 + (warmUpMilliseconds + MEASURING_THE_MOST_MILLISECONDS) / 1_000;
  const callbacks = Math.ceil(seconds * MOST_CALLBACKS_PER_SECOND * SHARE_OF_THE_MOST);
  return withClosers(async (closers) => {
    const twilio = await AnsweringTwilio.start();
    closers.push(() => twilio.close());
    // A quarter of the messages has no final status. With the default Twilio would not be asked about them in ten minutes.
    const settings = { STATUS_POLL_AFTER_MINUTES: '1', TWILIO_API_BASE_URL: twilio.baseUrl };
    return withServiceWorld({ names: ['soak'], callbacks, settings, say: context.say }, async (world) => {
      const soak = await measure(context, world);
      return reportOf({ ...soak, questions: twilio.questions });
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
  const measured: Minute[] = [];
  for (let minute = 1; minute <= options.minutes; minute += 1) {
    const memorySamples = sampleMemory(world);
    const { rate, result } = await turns.take(60_000, most * SHARE_OF_THE_MOST);
    const { p50, p99 } = result.latency;
    const megabytes = memorySamples.end();
    measured.push({
      ...{ minute, callbacksPerSecond: rate, p50, p99 },
      memory: meanOf(megabytes),
      leastMemory: Math.min(...megabytes),
      connections: await countConnections(world),
    });
    say(minuteInWords(measured.at(-1)));
  }
  return { most, minutes: measured, ...ratiosOf(measured) };
}

/** Megabytes that the process holds, every other second until the end. */
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

function ratiosOf(minutes: readonly Minute[]): Pick<Soak, 'memoryRatio' | 'leastMemoryRatio' | 'p99Ratio'> {
  const [early, late] = [minutes.slice(1, 4), minutes.slice(-3)];
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

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function minuteInWords(minute: Minute | undefined): string {
  if (minute === undefined) return '';
  const { minute: number, callbacksPerSecond, p50, p99, memory, leastMemory, connections } = minute;
  return `minute ${number}: ${Math.round(callbacksPerSecond)} a second, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${memory.toFixed(0)} MB (at least ${leastMemory.toFixed(0)}), ${connections} connections`;
}

function reportOf(soak: Soak): Report {
  const text = [
    '',
    `At the most ${Math.round(soak.most)} callbacks a second; ${SHARE_OF_THE_MOST * 100} % of it:`,
    ...soak.minutes.map(minuteInWords),
    `The last three minutes to the minutes 2 to 4: mean memory ${soak.memoryRatio.toFixed(3)}, least memory ${soak.leastMemoryRatio.toFixed(3)}, median p99 ${soak.p99Ratio.toFixed(2)}`,
    `Twilio was asked ${soak.questions} times about messages without a final status.`,
    '',
  ].join('\n');
  return { text, files: { 'soak.json': asJson({ ...circumstances(), ...soak }) } };
}
