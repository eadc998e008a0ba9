import type { BenchContext } from './bench-context.js';
import type { BenchWorld, RunningContender } from './bench-world.js';
import { PGBENCH } from './contenders.js';
import type { ConnectionMode } from './load/turn.js';
import type { MeasuredTurn } from './measurement.js';

import { type TakenTurn, takeTurn } from './take-turn.js';

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
      await this.#turn(running, 'new', warmUpMilliseconds / 4);
    }
  }

  /** @throws WrongContenderError, or the reason of the interruption. */
  async run(): Promise<void> {
    const { contenders } = this.world;
    for (let round = 1; round <= this.context.options.turns; round += 1) {
      this.context.say(`round ${round} of ${this.context.options.turns}`);
      for (const mode of ['kept', 'new'] as const) {
        // Another order in each round: nobody always follows the same one.
        for (let place = 0; place < contenders.length; place += 1) {
          const running = contenders[(place + round) % contenders.length];
          if (running !== undefined) await this.#measure(running, mode, round);
        }
      }
      await this.#measurePgbench(round);
    }
  }

  async #measure(running: RunningContender, mode: ConnectionMode, round: number): Promise<void> {
    const { letter, name } = running.contender;
    const milliseconds =
      mode === 'kept' ? this.context.options.milliseconds : this.context.options.milliseconds / 2;
    const { result, ...figures } = await this.#turn(running, mode, milliseconds);
    this.turns.push({ round, letter, name, mode, ...figures, ...result.latency });
  }

  async #measurePgbench(round: number): Promise<void> {
    this.context.interrupted.throwIfAborted();
    const { program, database } = this.world.pgbench;
    await database.clear();
    const rate = await program.run(this.context.options.connections, this.context.options.milliseconds);
    const unknown = { p50: NaN, p99: NaN, processor: NaN, databaseProcessor: NaN };
    this.turns.push({ ...PGBENCH, round, mode: 'kept', rate, ...unknown });
  }

  async #turn(running: RunningContender, mode: ConnectionMode, milliseconds: number): Promise<TakenTurn> {
    this.context.interrupted.throwIfAborted();
    const { connections } = this.context.options;
    const taken = await takeTurn(this.world, running, { connections, milliseconds, mode });
    if (running.contender.stores) this.storedCallbacks += taken.result.acknowledged.length;
    return taken;
  }
}
