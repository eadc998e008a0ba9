import { type ServiceWorld, withServiceWorld } from './bench-world.js';
import { withClosers } from './closers.js';
import type { BenchContext } from './measurement.js';
import { PolicyFailures } from './policy-failures.js';
import { asJson, circumstances, type Report } from './report/report.js';
import { percentiles, type Percentiles } from './report/statistics.js';
import { ContinuingTurns } from './take-turn.js';

/** More than the service stores in a second. */
const MOST_CALLBACKS_PER_SECOND = 15_000;

/** Unmeasured failures that warm up Node's compiler. */
const WARM_UP_FAILURES = 200;

/** More messages than are measured. */
const STORED_MESSAGES = 20_000;

interface Phases {
  readonly idleFailures: number;
  /** How long to measure the maximum rate, and how long callbacks stream in, in milliseconds. */
  readonly most: number;
  readonly busy: number;
}

const PHASES: Phases = { idleFailures: 2_000, most: 5_000, busy: 30_000 };
const QUICK_PHASES: Phases = { idleFailures: 200, most: 2_000, busy: 5_000 };

/**
 * Measures the time from the callback of a policy failure until the request for its SMS reaches Twilio: idle, and at
 * half of the maximum rate.
 */
export async function measureLatency(context: BenchContext): Promise<Report> {
  const { quick, warmUpMilliseconds } = context.options;
  const phases = quick ? QUICK_PHASES : PHASES;
  const seconds = (warmUpMilliseconds + phases.most + phases.busy) / 1_000;
  return withClosers(async (closers) => {
    const twilio = await PolicyFailures.startTwilio();
    closers.push(() => twilio.close());
    const options = {
      names: ['latency'],
      callbacks: Math.ceil(seconds * MOST_CALLBACKS_PER_SECOND),
      settings: { TWILIO_API_BASE_URL: twilio.baseUrl },
      say: context.say,
    };
    return withServiceWorld(options, async (world) => {
      const { server, database } = world.service;
      const failures = await PolicyFailures.prepare(twilio, server.port, database, STORED_MESSAGES);
      return reportOf(await measure(context, phases, world, failures), world.postgresVersion);
    });
  });
}

interface Latencies {
  /** Callbacks a second. */
  readonly most: number;
  readonly idle: Percentiles;
  readonly busy: Percentiles & { readonly callbacksPerSecond: number };
}

async function measure(
  context: BenchContext,
  { idleFailures, most, busy }: Phases,
  world: ServiceWorld,
  failures: PolicyFailures,
): Promise<Latencies> {
  const { options, interrupted, say } = context;
  const turns = new ContinuingTurns(world, context);
  say('warming up');
  await turns.take(options.warmUpMilliseconds);
  await failures.measureWhile((count) => count < WARM_UP_FAILURES);
  say(`${idleFailures} policy failures, one after the other`);
  const idle = await failures.measureWhile((count) => count < idleFailures && !interrupted.aborted);
  say('the most callbacks a second');
  const { rate: mostPerSecond } = await turns.take(most);
  say(`policy failures while ${Math.round(mostPerSecond / 2)} callbacks a second stream in`);
  const endsAt = performance.now() + busy;
  const [{ rate: callbacksPerSecond }, measured] = await Promise.all([
    turns.take(busy, mostPerSecond / 2),
    failures.measureWhile(() => performance.now() < endsAt),
  ]);
  return {
    most: mostPerSecond,
    idle: percentiles(idle),
    busy: { callbacksPerSecond, ...percentiles(measured) },
  };
}

function reportOf(latencies: Latencies, postgresVersion: string): Report {
  const { most, idle, busy } = latencies;
  const line = (name: string, cells: readonly (number | string)[]) =>
    name.padEnd(58) + cells.map((cell) => String(cell).padStart(10)).join('');
  const figures = ({ count, p50, p90, p99, longest }: Percentiles) => [
    count,
    ...[p50, p90, p99, longest].map((value) => value.toFixed(1)),
  ];
  const rate = Math.round(busy.callbacksPerSecond);
  const text = [
    '',
    line("from the callback until the SMS's request, ms", ['failures', 'p50', 'p90', 'p99', 'longest']),
    line('nothing else to do', figures(idle)),
    line(`${rate} callbacks a second besides, of ${Math.round(most)} at the most`, figures(busy)),
    '',
  ].join('\n');
  return { text, files: { 'latency.json': asJson({ ...circumstances(postgresVersion), ...latencies }) } };
}
