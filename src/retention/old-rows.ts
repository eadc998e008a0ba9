import type { DataSource } from 'typeorm';
import { PeriodicWork } from '../rounds/periodic-work.js';
import type { RetentionModuleOptions } from './retention.module-definition.js';

/** Rows per statement, so that no statement blocks others for long. */
const BATCH = 1_000;

/** Batches per round: 50,000 rows a minute are more than callbacks add. */
const BATCHES = 50;

/** Processes rows that are older than RETENTION_DAYS, if set, in batches. */
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
   * Repeats a statement until it finds fewer rows than the batch size, the round reaches its limit, or the application
   * stops.
   * @param statement takes the days and the batch size, and returns the number of changed rows as `rows`.
   * @returns the number of changed rows.
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

  /** Runs a single batch. */
  protected async once(statement: string): Promise<number> {
    const [row] = await this.dataSource.query<{ rows: number }[]>(statement, [this.retentionDays, BATCH]);
    return row?.rows ?? 0;
  }
}
