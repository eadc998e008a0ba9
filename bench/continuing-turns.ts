import type { BenchContext } from './bench-context.js';
import type { RunningService, ServiceWorld } from './bench-world.js';
import { type TakenTurn, takeTurn } from './take-turn.js';

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
