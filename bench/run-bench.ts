import { setTimeout as delay } from 'node:timers/promises';
import type { BenchWorld, RunningContender } from './bench-world.js';
import { PGBENCH } from './contenders.js';
import type { ConnectionMode, TurnResult } from './load/turn.js';
import type { MeasuredTurn } from './measurement.js';
import type { BenchOptions } from './options.js';

/** Before the first turn, for the compiler of Node: without it the first ones are slower. */
const WARM_UP_MILLISECONDS = 1_500;

/** Between two turns: what the last one left to do, e.g. lines in buffers, is not the next one's burden. */
const PAUSE_MILLISECONDS = 100;

/** A contender answered something else than 204, or did not keep what it had answered 204. */
export class WrongContenderError extends Error {
  override readonly name = 'WrongContenderError';
}

/** Lets every contender take its turns, side by side. */
export class BenchRun {
  readonly turns: MeasuredTurn[] = [];
  /** Callbacks that were answered 204, each of which was found as a row. */
  storedCallbacks = 0;

  constructor(
    private readonly world: BenchWorld,
    private readonly options: BenchOptions,
    private readonly interrupted: AbortSignal,
    private readonly say: (text: string) => void,
  ) {}

  /** @returns how many requests a second the load generator can send where a server does nothing. */
  async measureLoadGenerator(): Promise<number> {
    await this.#turn(this.world.constantAnswer, 'kept', WARM_UP_MILLISECONDS);
    const result = await this.#turn(this.world.constantAnswer, 'kept', this.options.milliseconds);
    return rateOf(result);
  }

  async warmUp(): Promise<void> {
    for (const running of this.world.contenders) {
      this.interrupted.throwIfAborted();
      await this.#turn(running, 'kept', WARM_UP_MILLISECONDS);
      await this.#turn(running, 'new', WARM_UP_MILLISECONDS / 3);
    }
  }

  /** @throws WrongContenderError, or the reason of the interruption. */
  async run(): Promise<void> {
    const { contenders } = this.world;
    for (let round = 1; round <= this.options.turns; round += 1) {
      this.say(`round ${round} of ${this.options.turns}`);
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
    this.interrupted.throwIfAborted();
    const { letter, name } = running.contender;
    const milliseconds = mode === 'kept' ? this.options.milliseconds : this.options.milliseconds / 2;
    const result = await this.#turn(running, mode, milliseconds);
    this.turns.push({ round, letter, name, mode, rate: rateOf(result), ...result.latency });
  }

  async #measurePgbench(round: number): Promise<void> {
    this.interrupted.throwIfAborted();
    const { program, database } = this.world.pgbench;
    await database.clear();
    const rate = await program.run(this.options.connections, this.options.milliseconds);
    this.turns.push({ ...PGBENCH, round, mode: 'kept', rate, p50: null, p99: null });
  }

  async #turn(
    { contender, server, database }: RunningContender,
    mode: ConnectionMode,
    milliseconds: number,
  ): Promise<TurnResult> {
    await database?.clear();
    const { connections } = this.options;
    const turn = { port: server.port, connections, milliseconds, mode, mayRepeat: !contender.stores };
    const result = await this.world.load.run(turn);
    const others = [...result.answers].filter(([status]) => status !== 204);
    if (others.length > 0) {
      const counts = others.map(([status, count]) => `${count} times ${status}`).join(', ');
      throw new WrongContenderError(`(${contender.letter}) ${contender.name} answered ${counts}`);
    }
    const missing = (await database?.countMissing(result.acknowledged)) ?? 0;
    if (missing > 0) {
      throw new WrongContenderError(
        `(${contender.letter}) ${contender.name} answered 204 to ${missing} callbacks that are no rows`,
      );
    }
    if (database !== undefined) this.storedCallbacks += result.acknowledged.length;
    await delay(PAUSE_MILLISECONDS);
    return result;
  }
}

function rateOf({ acknowledged, milliseconds }: TurnResult): number {
  return acknowledged.length / (milliseconds / 1000);
}
