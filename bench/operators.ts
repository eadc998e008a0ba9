import { inRandomOrder, randomNumbers } from '../simulator/random.js';
import type { BenchDatabase } from './bench-database.js';
import { type ServiceWorld, withServiceWorld } from './bench-world.js';
import { fillTable } from './large-table.js';
import type { BenchContext } from './measurement.js';
import {
  callEachSecond,
  nobody,
  type OperatorAtWork,
  OPERATORS_KEY,
  OperatorsApi,
  pageOpen,
} from './operators-at-work.js';
import { asJson, circumstances, type Report } from './report/report.js';
import { percentiles, type Percentiles, type Spread, spreadOf, withSpread } from './report/statistics.js';
import { ContinuingTurns } from './take-turn.js';

/** More than the service stores in a second. */
const MOST_CALLBACKS_PER_SECOND = 10_000;

/**
 * The indexes of message_events that only operators' requests use. The others serve the queries of docs/operating.md,
 * or the service itself.
 */
const OPERATORS_INDEXES = ['message_events_to_number_idx', 'message_events_channel_status_idx'];

/** The seed for the order of turns: the same in every run. */
const SEED = 1;

/** The baseline of every ratio. */
const BASELINE = 'nobody looks';

interface Situation {
  readonly name: string;
  readonly hasIndexes: boolean;
  readonly operator: OperatorAtWork;
}

interface Turn {
  readonly round: number;
  readonly situation: string;
  /** Callbacks a second. */
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of processor time for a callback, of the service and PostgreSQL together. */
  readonly processor: number;
}

interface Comparison {
  readonly situation: string;
  readonly rate: Spread;
  readonly p50: Spread;
  readonly p99: Spread;
  readonly processor: Spread;
  /** The ratio to the baseline's turn of the same round. */
  readonly rateRatio: Spread;
  readonly p99Ratio: Spread;
  readonly processorRatio: Spread;
}

interface Operators {
  readonly rows: number;
  readonly turns: number;
  /** At the maximum rate of callbacks. */
  readonly most: readonly Comparison[];
  /** At half of that rate, evenly spaced. */
  readonly half: readonly Comparison[];
  /** Latencies of the operators' calls meanwhile, by situation. */
  readonly calls: readonly (Percentiles & { readonly situation: string })[];
}

/** Measures how much the page, API calls and their indexes slow down the callbacks. */
export async function measureOperators(context: BenchContext): Promise<Report> {
  const { options, interrupted, say } = context;
  const { rows, turns, milliseconds, warmUpMilliseconds } = options;
  // The first service has four of the five situations, at the maximum rate and at half of it.
  const seconds = (turns * milliseconds * 4 * 1.5 + warmUpMilliseconds) / 1_000;
  const world = {
    names: ['operators', 'without_indexes'],
    callbacks: Math.ceil(seconds * MOST_CALLBACKS_PER_SECOND),
    settings: { ADMIN_API_KEYS: OPERATORS_KEY },
    prepare: async (databases: readonly BenchDatabase[]) => {
      for (const database of databases) await fillTable(database, rows, say, interrupted);
      for (const name of OPERATORS_INDEXES) await databases[1]?.query(`drop index ${name}`);
    },
    say,
  };
  return withServiceWorld(world, async (world) =>
    reportOf(await new OperatorsRun(context, world).run(), world.postgresVersion),
  );
}

class OperatorsRun {
  readonly #situations: readonly Situation[];
  readonly #latencies = new Map<string, number[]>();
  readonly #random = randomNumbers(SEED);
  readonly #turns: readonly [ContinuingTurns, ContinuingTurns];

  constructor(
    private readonly context: BenchContext,
    private readonly world: ServiceWorld,
  ) {
    const [service, withoutIndexes] = world.services;
    this.#turns = [
      new ContinuingTurns(world, context, service),
      new ContinuingTurns(world, context, withoutIndexes),
    ];
    this.#situations = [
      { name: BASELINE, hasIndexes: true, operator: nobody },
      { name: 'nobody looks, without their indexes', hasIndexes: false, operator: nobody },
      { name: 'the page is open, of a day', hasIndexes: true, operator: pageOpen(1, 'hour') },
      { name: 'the page is open, of 14 days', hasIndexes: true, operator: pageOpen(14, 'day') },
      { name: 'a call each second', hasIndexes: true, operator: callEachSecond(context.options.rows) },
    ];
  }

  async run(): Promise<Operators> {
    const { options, say } = this.context;
    say('warming up');
    for (const turns of this.#turns) await turns.take(options.warmUpMilliseconds);
    const most: Turn[] = [];
    const half: Turn[] = [];
    for (let round = 1; round <= options.turns; round += 1) {
      say(`round ${round} of ${options.turns}`);
      most.push(...(await this.#takeRound(round)));
      const rate = spreadOf(most.map(({ rate }) => rate)).median / 2;
      half.push(...(await this.#takeRound(round, rate)));
    }
    const { rows, turns } = options;
    const calls = [...this.#latencies].map(([situation, latencies]) => ({
      situation,
      ...percentiles(latencies.sort((left, right) => left - right)),
    }));
    return { rows, turns, most: this.#compare(most), half: this.#compare(half), calls };
  }

  /**
   * Runs a round in its own order, so that the aftermath of a turn, e.g. events to count, affects different turns each
   * time.
   */
  async #takeRound(round: number, requestsPerSecond?: number): Promise<Turn[]> {
    const turns: Turn[] = [];
    const order = inRandomOrder(this.#situations, this.#random);
    for (const situation of order) turns.push(await this.#take(situation, round, requestsPerSecond));
    return turns;
  }

  async #take(situation: Situation, round: number, requestsPerSecond?: number): Promise<Turn> {
    const ending = new AbortController();
    const { signal } = ending;
    const api = new OperatorsApi(this.world.service.server.port, signal);
    const turns = this.#turns[situation.hasIndexes ? 0 : 1];
    const turn = turns.take(this.context.options.milliseconds, requestsPerSecond).finally(() => {
      ending.abort();
    });
    const [{ rate, result, processor, databaseProcessor }] = await Promise.all([
      turn,
      untilEnded(situation.operator(api, signal), signal),
    ]);
    this.#keep(situation.name, api.latencies);
    const { p50, p99 } = result.latency;
    return {
      ...{ round, situation: situation.name, rate, p50, p99 },
      processor: processor + databaseProcessor,
    };
  }

  #keep(situation: string, latencies: readonly number[]): void {
    if (latencies.length === 0) return;
    this.#latencies.set(situation, [...(this.#latencies.get(situation) ?? []), ...latencies]);
  }

  #compare(turns: readonly Turn[]): Comparison[] {
    return this.#situations.map(({ name }) => {
      const own = turns.filter(({ situation }) => situation === name);
      const ratio = (value: (turn: Turn) => number) =>
        spreadOf(own.map((turn) => value(turn) / value(baselineOf(turns, turn))));
      const spread = (value: (turn: Turn) => number) => spreadOf(own.map(value));
      return {
        situation: name,
        rate: spread(({ rate }) => rate),
        p50: spread(({ p50 }) => p50),
        p99: spread(({ p99 }) => p99),
        processor: spread(({ processor }) => processor),
        rateRatio: ratio(({ rate }) => rate),
        p99Ratio: ratio(({ p99 }) => p99),
        processorRatio: ratio(({ processor }) => processor),
      };
    });
  }
}

function baselineOf(turns: readonly Turn[], { round }: Turn): Turn {
  const baseline = turns.find((turn) => turn.round === round && turn.situation === BASELINE);
  if (baseline === undefined) throw new Error(`Round ${round} has no turn where ${BASELINE}`);
  return baseline;
}

/** Waits for work; a rejection after the end counts as done. */
async function untilEnded(work: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function reportOf(operators: Operators, postgresVersion: string): Report {
  const cell = (spread: Spread, digits: number) => withSpread(spread, digits).padStart(21);
  const table = (title: string, comparisons: readonly Comparison[]) => [
    '',
    `${title.padEnd(38)}${['204 a second', 'ratio', 'CPU µs', 'ratio', 'p99 ms'].map((name) => name.padStart(21)).join('')}`,
    ...comparisons.map(
      ({ situation, rate, rateRatio, processor, processorRatio, p99 }) =>
        situation.padEnd(38) +
        cell(rate, 0) +
        cell(rateRatio, 3) +
        cell(processor, 0) +
        cell(processorRatio, 3) +
        cell(p99, 1),
    ),
  ];
  const text = [
    ...table('as many callbacks as can be taken', operators.most),
    ...table('half as many', operators.half),
    '',
    ...operators.calls.map(
      ({ situation, count, p50, p90, p99 }) =>
        `${situation}: ${count} calls, p50 ${p50.toFixed(0)} ms, p90 ${p90.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
    ),
    '',
  ].join('\n');
  return { text, files: { 'operators.json': asJson({ ...circumstances(postgresVersion), ...operators }) } };
}
