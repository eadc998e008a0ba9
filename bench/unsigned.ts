import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type ServiceWorld, withServiceWorld } from './bench-world.js';
import { SECONDARY_TOKEN } from './callbacks.js';
import { UNSIGNED_SHAPES, type UnsignedShape } from './load/unsigned-requests.js';
import type { BenchContext } from './measurement.js';
import { asJson, circumstances, type Report } from './report/report.js';
import { type Spread, spreadOf, withSpread } from './report/statistics.js';
import { ContinuingTurns } from './take-turn.js';

/** Evenly spaced, so that the latency is that of an idle service. */
const SIGNED_PER_SECOND = 200;

interface Comparison {
  readonly shape: UnsignedShape;
  /** Median latencies of signed callbacks in milliseconds, alone and during unsigned requests. */
  readonly alone: Spread;
  readonly meanwhile: Spread;
  readonly ratio: Spread;
  /** Unsigned requests a second that were answered. */
  readonly unsignedPerSecond: Spread;
}

/**
 * Measures how long signed callbacks wait while other connections send the most expensive requests without a valid
 * signature.
 */
export async function measureUnsigned(context: BenchContext): Promise<Report> {
  const { turns, milliseconds, warmUpMilliseconds } = context.options;
  const seconds = (2 * turns * UNSIGNED_SHAPES.length * milliseconds + warmUpMilliseconds) / 1_000;
  const options = {
    names: ['unsigned'],
    callbacks: Math.ceil(seconds * SIGNED_PER_SECOND * 1.5),
    settings: { TWILIO_AUTH_TOKEN_SECONDARY: SECONDARY_TOKEN },
    say: context.say,
  };
  return withServiceWorld(options, async (world) =>
    reportOf(await compare(context, world), world.postgresVersion),
  );
}

async function compare(context: BenchContext, world: ServiceWorld): Promise<Comparison[]> {
  const { options, interrupted, say } = context;
  const signed = new ContinuingTurns(world, context);
  say('warming up');
  await signed.take(options.warmUpMilliseconds, SIGNED_PER_SECOND);
  const comparisons: Comparison[] = [];
  for (const shape of UNSIGNED_SHAPES) {
    say(shape);
    const [alone, meanwhile, rates]: number[][] = [[], [], []];
    for (let turn = 0; turn < options.turns; turn += 1) {
      interrupted.throwIfAborted();
      alone?.push((await signed.take(options.milliseconds, SIGNED_PER_SECOND)).result.latency.p50);
      const senders = await UnsignedSenders.start(world.service.server.port, options.connections, shape);
      meanwhile?.push((await signed.take(options.milliseconds, SIGNED_PER_SECOND)).result.latency.p50);
      rates?.push(await senders.end());
    }
    const ratios = meanwhile?.map((value, turn) => value / (alone?.[turn] ?? NaN)) ?? [];
    comparisons.push({
      shape,
      alone: spreadOf(alone ?? []),
      meanwhile: spreadOf(meanwhile ?? []),
      ratio: spreadOf(ratios),
      unsignedPerSecond: spreadOf(rates ?? []),
    });
  }
  return comparisons;
}

/** A separate process, whose connections each send the next request once the last one is answered. */
class UnsignedSenders {
  private constructor(
    private readonly child: ChildProcess,
    private readonly startedAt: number,
  ) {}

  static async start(port: number, connections: number, shape: UnsignedShape): Promise<UnsignedSenders> {
    const program = fileURLToPath(new URL('load/unsigned-requests.js', import.meta.url));
    const child = fork(program, [String(port), String(connections), shape], { detached: true });
    await once(child, 'message');
    return new UnsignedSenders(child, performance.now());
  }

  /** @returns how many requests a second were answered. */
  async end(): Promise<number> {
    const answered = once(this.child, 'message');
    this.child.send('end');
    const [count] = (await answered) as [number];
    const rate = (count / (performance.now() - this.startedAt)) * 1_000;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
    return rate;
  }
}

function reportOf(comparisons: readonly Comparison[], postgresVersion: string): Report {
  const cell = (spread: Spread, digits: number) => withSpread(spread, digits).padStart(22);
  const text = [
    '',
    'unsigned requests'.padEnd(34) +
      ['alone, p50 ms', 'meanwhile, p50 ms', 'ratio', 'unsigned a second']
        .map((name) => name.padStart(22))
        .join(''),
    ...comparisons.map(
      ({ shape, alone, meanwhile, ratio, unsignedPerSecond }) =>
        shape.padEnd(34) + cell(alone, 1) + cell(meanwhile, 1) + cell(ratio, 2) + cell(unsignedPerSecond, 0),
    ),
    '',
  ].join('\n');
  return { text, files: { 'unsigned.json': asJson({ ...circumstances(postgresVersion), comparisons }) } };
}
