import { setImmediate } from 'node:timers/promises';
import { QueryFailedError } from 'typeorm';

/** Too many items wait for their commit. */
export class GroupCommitFullError extends Error {
  override readonly name = 'GroupCommitFullError';
}

export interface GroupCommitOptions {
  /** The maximum number of items in one commit. */
  readonly maximumBatch: number;
  /**
   * The maximum number of items that wait, beside those being committed. This bounds the memory that items keep alive.
   */
  readonly maximumWaiting: number;
  /**
   * Resolves when a commit may begin; default: at once. `setImmediate` includes every item of the same turn of the
   * event loop, and costs a lone item no measurable time.
   */
  readonly beforeCommit?: () => Promise<unknown>;
}

/** For items whose number is bounded elsewhere: those of one turn of the event loop share a statement. */
export const OF_ONE_TURN: GroupCommitOptions = {
  maximumBatch: 100,
  maximumWaiting: Infinity,
  beforeCommit: setImmediate,
};

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Commits items together: those that come while a commit is under way go into the next one. There is no timer, so a
 * lone item never waits. Each item's promise settles after the commit that holds it.
 */
export class GroupCommit<Item, Result> {
  private waiting: Waiting<Item, Result>[] = [];
  private committing = false;
  private atIdle: (() => void)[] = [];

  /**
   * @param commit writes all items or none, and returns a result for each, in their order.
   * @param isItemsFault whether an item caused an error, so that its neighbours are tried again.
   */
  constructor(
    private readonly commit: (items: readonly Item[]) => Promise<readonly Result[]>,
    private readonly isItemsFault: (error: unknown) => boolean,
    private readonly options: GroupCommitOptions,
  ) {}

  /**
   * Resolves when no item waits and none is being committed.
   * @param limit how long it waits at the most, in milliseconds.
   */
  async idle(limit: number): Promise<void> {
    if (!this.committing) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limit);
      this.atIdle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** @throws GroupCommitFullError at once when too many items wait. */
  add(item: Item): Promise<Result> {
    if (this.waiting.length >= this.options.maximumWaiting) {
      return Promise.reject(new GroupCommitFullError(`${this.waiting.length} items wait already`));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (!this.committing) void this.drain();
    });
  }

  private async drain(): Promise<void> {
    this.committing = true;
    while (this.waiting.length > 0) {
      if (this.options.beforeCommit !== undefined) await this.options.beforeCommit();
      await this.settle(this.waiting.splice(0, this.options.maximumBatch));
    }
    this.committing = false;
    for (const resume of this.atIdle.splice(0)) resume();
  }

  private async settle(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      await this.commitTogether(batch);
    } catch (error) {
      if (!this.isItemsFault(error)) this.giveUp(batch, error);
      else if (batch.length > 1) await this.settleOneByOne(batch);
      else for (const { reject } of batch) reject(error);
    }
  }

  private async settleOneByOne(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    for (const [index, waiting] of batch.entries()) {
      try {
        await this.commitTogether([waiting]);
      } catch (error) {
        if (!this.isItemsFault(error)) {
          this.giveUp(batch.slice(index), error);
          return;
        }
        waiting.reject(error);
      }
    }
  }

  private async commitTogether(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    const results = await this.commit(batch.map(({ item }) => item));
    batch.forEach(({ resolve, reject }, index) => {
      const result = results[index];
      if (result === undefined) reject(new Error('The commit returned no result for this item'));
      else resolve(result);
    });
  }

  /** Rejects the waiting items too: they would fail the same way, each after its own time-out. */
  private giveUp(batch: readonly Waiting<Item, Result>[], error: unknown): void {
    for (const { reject } of [...batch, ...this.waiting.splice(0)]) reject(error);
  }
}

/**
 * SQLSTATE classes 22 (data exception), 23 (constraint violation) and 54 (program limit exceeded, e.g. by a text that is
 * too long for an index): one row's fault, not the database's.
 */
export function isDataError(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlStateOf(error));
}

/** @returns an empty text if there is no SQLSTATE. */
export function sqlStateOf(error: unknown): string {
  if (!(error instanceof QueryFailedError)) return '';
  const { code } = error.driverError as { code?: unknown };
  return typeof code === 'string' ? code : '';
}
