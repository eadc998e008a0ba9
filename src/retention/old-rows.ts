import { ConfigurableModuleBuilder, Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ERASE_OLD } from '../fallback/fallback.sql.js';
import { IS_OPEN } from '../fallback/sms-fallback-state.js';
import { deleteEvents } from '../message-events/message-events.store.js';
import { InjectDatabase } from '../process/inject-database.js';
import { PeriodicWork } from '../process/periodic-work.js';
import { deleteRejectedCallbacks } from '../webhooks/rejected-callbacks.store.js';

export interface RetentionModuleOptions {
  /** How long events, and the numbers and texts of ended fallbacks, are kept, in days; at least 3. Default: forever. */
  retentionDays?: number;
  /** How often to look for older ones, in milliseconds. Default 60000. 0: never. */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<RetentionModuleOptions>().setClassMethodName('forRoot').build();

/** Rows per statement, so that no statement blocks others for long. */
const BATCH = 1_000;

/** Batches per round: 50,000 rows a minute are more than callbacks add. */
const BATCHES = 50;

/** Processes rows that are older than RETENTION_DAYS, if set, in batches. */
export abstract class OldRows extends PeriodicWork {
  private readonly retentionDays: number | undefined;

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
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

/**
 * Deletes events and rejected callbacks that are older than RETENTION_DAYS, oldest first. Events are counted before
 * they are deleted, so that statistics stay: without a running follower, none is deleted.
 */
@Injectable()
export class OldEvents extends OldRows {
  constructor(
    @InjectDatabase() dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) options: RetentionModuleOptions,
  ) {
    super(dataSource, options, 'Old events cannot be deleted now');
  }

  /** Safe to run on several replicas at once. @throws if the database is down. */
  async runOnce(): Promise<void> {
    const events = await this.inBatches(DELETE_EVENTS);
    if (!this.signal.aborted) await this.once(DELETE_REJECTED_CALLBACKS);
    if (events > 0) this.logger.log('Old events are deleted', { events });
  }
}

/**
 * Uses message_events_created_at_idx. Keeps the events of open fallbacks: those of the original decide whether a retry
 * is right, and those of the SMS identify it.
 */
const DELETE_EVENTS = deleteEvents(`
  select id from message_events as event
   where created_at < now() - $1 * interval '1 day'
     and not exists (select from message_event_outbox as outbox where outbox.id = event.id and not counted)
     and not exists (
       select from sms_fallbacks
        where original_message_sid = event.message_sid and ${IS_OPEN}
     )
     and not exists (
       select from sms_fallbacks
        where sms_fallbacks.id = event.sms_fallback_id and ${IS_OPEN}
     )
   order by created_at limit $2
     for update skip locked`);

/** The table has at most 10,000 rows. */
const DELETE_REJECTED_CALLBACKS = deleteRejectedCallbacks(
  `select id from rejected_callbacks where created_at < now() - $1 * interval '1 day' order by id limit $2`,
);

/** Erases the number and the text of fallbacks that ended more than RETENTION_DAYS ago, oldest first. */
@Injectable()
export class OldFallbacks extends OldRows {
  constructor(
    @InjectDatabase() dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) options: RetentionModuleOptions,
  ) {
    super(dataSource, options, 'Old fallbacks cannot be erased now');
  }

  /** Safe to run on several replicas at once. @throws if the database is down. */
  async runOnce(): Promise<void> {
    const fallbacks = await this.inBatches(ERASE_OLD);
    if (fallbacks > 0) this.logger.log('Old fallbacks are erased', { fallbacks });
  }
}
