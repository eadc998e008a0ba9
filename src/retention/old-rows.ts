import type { DataSource } from 'typeorm';
import { PeriodicWork } from '../rounds/periodic-work.js';
import type { RetentionModuleOptions } from './retention.module-definition.js';

/** In one statement, so that none keeps others waiting for long. */
const BATCH = 1_000;

/** In one round: 50,000 rows a minute are more than callbacks bring. */
const BATCHES = 50;

/** Work on rows that are older than RETENTION_DAYS, where those are set, a batch at a time. */
export abstract class OldRows extends PeriodicWork {
  private readonly retentionDays: number | undefined;

  constructor(
    private readonly dataSource: DataSource,
    { retentionDays, intervalMilliseconds = 60_000 }: RetentionModuleOptions,
    failure: string,
  ) {
    super({ intervalMilliseconds: retentionDays === undefined ? 0 : intervalMilliseconds, failure });
    this.retentionDays = retentionDays;
  }

  /**
   * Repeats a statement until it finds fewer rows than it may, the round has had enough, or the application stops.
   * @param statement is given the days and the rows it may change, and returns their number as `rows`.
   * @returns how many rows it changed.
   */
  protected async inBatches(statement: string): Promise<number> {
    let total = 0;
    for (let batch = 0; batch < BATCHES && !this.signal.aborted; batch += 1) {
      const rows = await this.once(statement);
      total += rows;
      if (rows < BATCH) break;
    }
    return total;
  }

  /** A single batch. */
  protected async once(statement: string): Promise<number> {
    const [row] = await this.dataSource.query<{ rows: number }[]>(statement, [this.retentionDays, BATCH]);
    return row?.rows ?? 0;
  }
}
