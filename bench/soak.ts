import { AnsweringTwilio } from './answering-twilio.js';
import type { BenchContext } from './bench-context.js';
import { type ServiceWorld, withServiceWorld } from './bench-world.js';
import { withClosers } from './closers.js';
import { ContinuingTurns } from './continuing-turns.js';
import type { Report } from './report/report.js';
import {
  meanOf,
  type Minute,
  minuteInWords,
  SHARE_OF_THE_MOST,
  type Soak,
  soakReport,
} from './soak-report.js';

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
