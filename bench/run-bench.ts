import type { BenchContext } from './bench-context.js';
import type { BenchWorld, RunningContender } from './bench-world.js';
import { PGBENCH } from './contenders.js';
import type { MeasuredTurn } from './measurement.js';
import { type TakenTurn, takeTurn } from './take-turn.js';
import { KEPT_TRAFFIC, type Traffic, TRAFFIC, turnWith } from './traffic.js';

/** Lets every contender take its turns, side by side. */
export class BenchRun {
  readonly turns: MeasuredTurn[] = [];
  /** Callbacks that were answered 204, each of which was found as a row. */
  storedCallbacks = 0;

  constructor(
    private readonly world: BenchWorld,
    private readonly context: BenchContext,
  ) {}

  /** @returns how many requests a second the load generator can send where a server does nothing. */
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
    const { contenders } = this.world;
    for (let round = 1; round <= this.context.options.turns; round += 1) {
      this.context.say(`round ${round} of ${this.context.options.turns}`);
      for (const traffic of TRAFFIC) {
        // Another order in each round: nobody always follows the same one.
        for (let place = 0; place < contenders.length; place += 1) {
          const running = contenders[(place + round) % contenders.length];
          if (running !== undefined) await this.#measure(running, traffic, round);
        }
      }
      await this.#measurePgbench(round);
    }
  }

  async #measure(running: RunningContender, traffic: Traffic, round: number): Promise<void> {
    const { letter, name } = running.contender;
    const { result, ...figures } = await this.#turn(running, traffic, this.context.options.milliseconds);
    this.turns.push({ round, letter, name, traffic, ...figures, ...result.latency });
  }

  /** Without new connections: it has one for each client from its start to its end. */
  async #measurePgbench(round: number): Promise<void> {
    const { program, database } = this.world.pgbench;
    for (const traffic of KEPT_TRAFFIC) {
      this.context.interrupted.throwIfAborted();
      await database.clear();
      const { connections, milliseconds } = turnWith(traffic, this.context.options);
      const rate = await program.run(connections, milliseconds);
      const unknown = { p50: NaN, p99: NaN, processor: NaN, databaseProcessor: NaN };
      this.turns.push({ ...PGBENCH, round, traffic, rate, ...unknown });
    }
  }

  async #turn(running: RunningContender, traffic: Traffic, milliseconds: number): Promise<TakenTurn> {
    this.context.interrupted.throwIfAborted();
    const turn = turnWith(traffic, { ...this.context.options, milliseconds });
    const taken = await takeTurn(this.world, running, turn);
    if (running.contender.stores) this.storedCallbacks += taken.result.acknowledged.length;
    return taken;
  }
}
