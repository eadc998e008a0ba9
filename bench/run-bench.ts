import { inRandomOrder, randomNumbers } from '../simulator/random.js';
import type { BenchWorld, RunningContender } from './bench-world.js';
import { type Traffic, TRAFFIC, turnWith } from './callbacks.js';
import { PGBENCH } from './contenders.js';
import type { BenchContext, MeasuredTurn } from './measurement.js';
import { type TakenTurn, takeTurn } from './take-turn.js';

/** The seed for the order of turns: the same in every run. */
const SEED = 1;

/** Runs the turns of all contenders. */
export class BenchRun {
  readonly turns: MeasuredTurn[] = [];
  /** Callbacks that were answered 204 and found as rows. */
  storedCallbacks = 0;
  readonly #random = randomNumbers(SEED);

  constructor(
    private readonly world: BenchWorld,
    private readonly context: BenchContext,
  ) {}

  /** @returns how many requests a second the load generator can send to a server that does nothing. */
  async measureLoadGenerator(): Promise<number> {
    const { rate } = await this.#turn(this.world.constantAnswer, 'kept', this.context.options.milliseconds);
    return rate;
  }

  async warmUp(): Promise<void> {
    const { warmUpMilliseconds } = this.context.options;
    for (const running of this.world.contenders) {
      await this.#turn(running, 'kept', warmUpMilliseconds);
      await this.#turn(running, 'new', warmUpMilliseconds / 2);
    }
  }

  /** @throws WrongContenderError, or the reason of the interruption. */
  async run(): Promise<void> {
    for (let round = 1; round <= this.context.options.turns; round += 1) {
      this.context.say(`round ${round} of ${this.context.options.turns}`);
      for (const traffic of TRAFFIC) {
        // A random order, so that the aftermath of a turn, e.g. events that are counted some ten seconds later, affects
        // different turns each time.
        for (const take of inRandomOrder(this.#turnsOf(traffic, round), this.#random)) await take();
      }
    }
  }

  #turnsOf(traffic: Traffic, round: number): (() => Promise<void>)[] {
    const turns = this.world.contenders.map((running) => () => this.#measure(running, traffic, round));
    // pgbench keeps one connection for each client from start to end.
    return traffic === 'new' ? turns : [...turns, () => this.#measurePgbench(traffic, round)];
  }

  async #measure(running: RunningContender, traffic: Traffic, round: number): Promise<void> {
    const { letter, name } = running.contender;
    const { result, ...figures } = await this.#turn(running, traffic, this.context.options.milliseconds);
    this.turns.push({ round, letter, name, traffic, ...figures, ...result.latency });
  }

  async #measurePgbench(traffic: Traffic, round: number): Promise<void> {
    this.context.interrupted.throwIfAborted();
    const { program, database } = this.world.pgbench;
    await database.clear();
    const { connections, milliseconds } = turnWith(traffic, this.context.options);
    const rate = await program.run(connections, milliseconds);
    const unknown = { p50: NaN, p99: NaN, processor: NaN, databaseProcessor: NaN };
    this.turns.push({ ...PGBENCH, round, traffic, rate, ...unknown });
  }

  async #turn(running: RunningContender, traffic: Traffic, milliseconds: number): Promise<TakenTurn> {
    this.context.interrupted.throwIfAborted();
    const turn = turnWith(traffic, { ...this.context.options, milliseconds });
    const taken = await takeTurn(this.world, running, turn);
    if (running.contender.stores) this.storedCallbacks += taken.result.acknowledged.length;
    return taken;
  }
}
