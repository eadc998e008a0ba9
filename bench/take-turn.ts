import { setTimeout as delay } from 'node:timers/promises';
import type { BenchWorld, RunningContender, RunningService, ServiceWorld } from './bench-world.js';
import type { Turn, TurnResult } from './load/run-turn.js';
import type { BenchContext } from './measurement.js';
import { processorTime } from './processor-time.js';

/** The pause between turns, so that leftovers of one, e.g. buffered lines, do not burden the next. */
const PAUSE_MILLISECONDS = 100;

/** A contender gave an answer other than 204, or did not keep a callback that it had answered 204. */
export class WrongContenderError extends Error {
  override readonly name = 'WrongContenderError';
}

export interface TakenTurn {
  readonly result: TurnResult;
  /** Answers 204 a second. */
  readonly rate: number;
  /** Microseconds of processor time for a callback, of the contender's process and of PostgreSQL; NaN if unknown. */
  readonly processor: number;
  readonly databaseProcessor: number;
}

export interface TurnOptions extends Omit<Turn, 'port' | 'mayRepeat'> {
  /** Whether the table keeps its rows; then the callbacks must be new. Default: it is emptied before. */
  readonly keepRows?: boolean;
}

/** @throws WrongContenderError */
export async function takeTurn(
  { load, postgres, callbacks }: Pick<BenchWorld, 'load' | 'postgres' | 'callbacks'>,
  { contender, server, database }: RunningContender,
  { keepRows = false, ...options }: TurnOptions,
): Promise<TakenTurn> {
  if (!keepRows) await database?.clear(contender.hasMessages === true ? callbacks : 0);
  const times = () => [server.processorTime, processorTime(postgres.pid)] as const;
  const [before, databaseBefore] = times();
  const result = await load.run({ ...options, port: server.port, mayRepeat: !contender.stores });
  const [after, databaseAfter] = times();
  const fault = wrongAnswers(result) ?? (await missingRows(result, database));
  if (fault !== undefined) throw new WrongContenderError(`(${contender.letter}) ${contender.name} ${fault}`);
  await delay(PAUSE_MILLISECONDS);
  const count = result.acknowledged.length;
  return {
    result,
    rate: count / (result.milliseconds / 1000),
    processor: (after - before) / count,
    databaseProcessor: database === undefined ? 0 : (databaseAfter - databaseBefore) / count,
  };
}

function wrongAnswers({ answers }: TurnResult): string | undefined {
  const others = [...answers].filter(([status]) => status !== 204);
  if (others.length === 0) return undefined;
  return `answered ${others.map(([status, count]) => `${count} times ${status}`).join(', ')}`;
}

async function missingRows(
  { acknowledged }: TurnResult,
  database: RunningContender['database'],
): Promise<string | undefined> {
  const missing = (await database?.countMissing(acknowledged)) ?? 0;
  return missing === 0 ? undefined : `answered 204 to ${missing} callbacks that are no rows`;
}

/** Turns of one service on kept connections: the table keeps its rows, and each turn sends callbacks that are new to it. */
export class ContinuingTurns {
  #firstIndex = 0;

  constructor(
    private readonly world: ServiceWorld,
    private readonly context: BenchContext,
    private readonly service: RunningService = world.service,
  ) {}

  /** @param requestsPerSecond default: the maximum rate. */
  async take(milliseconds: number, requestsPerSecond?: number): Promise<TakenTurn> {
    const { options, interrupted } = this.context;
    interrupted.throwIfAborted();
    const taken = await takeTurn(this.world, this.service, {
      connections: options.connections,
      mode: 'kept',
      keepRows: true,
      firstIndex: this.#firstIndex,
      milliseconds,
      requestsPerSecond,
    });
    this.#firstIndex += taken.result.acknowledged.length;
    interrupted.throwIfAborted();
    return taken;
  }
}
