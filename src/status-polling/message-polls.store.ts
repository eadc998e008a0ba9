import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FINAL_STATUSES } from '../message-events/message-status.js';
import { MODULE_OPTIONS_TOKEN, type StatusPollingModuleOptions } from './status-polling.module-definition.js';
import { CLAIM, ENROL_FROM_EVENTS, ENROL_FROM_MESSAGES, MESSAGES_ARE_INDEXED } from './message-polls.sql.js';

/** Rows that one statement looks through. It bounds the statement's time, however much there is. */
const LOOKED_THROUGH_ROWS = 2_000;

/** Messages that a replica takes at a time. */
const CLAIMED_ROWS = 50;

/**
 * `created_at` is the start of a transaction, so rows become visible in another order. Those as young as a
 * transaction may last here are left for later; a statement has four seconds.
 */
const COMMIT_DELAY_MILLISECONDS = 20_000;

/** A message that this replica has to itself until its next poll is due. */
export interface ClaimedPoll {
  readonly messageSid: string;
  readonly accountSid: string;
  /** True where the next one would come after the time at which it is given up. */
  readonly isLast: boolean;
}

/** What one step through the events or the messages came to. */
export interface Enrolment {
  /** Messages of which an event is not tied to the row of `messages` that there is. */
  readonly unlinked: readonly string[];
  /** Whether there may be more to look through. */
  readonly more: boolean;
}

/** The SQL of `message_polls` and `message_poll_watermarks`: each method is one statement, and one commit. */
@Injectable()
export class MessagePollsStore {
  private readonly afterMilliseconds: number;
  private readonly giveUpAfterMilliseconds: number;

  constructor(
    private readonly dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: StatusPollingModuleOptions,
  ) {
    this.afterMilliseconds = Math.max(options.afterMilliseconds ?? 10 * 60_000, COMMIT_DELAY_MILLISECONDS);
    this.giveUpAfterMilliseconds = options.giveUpAfterMilliseconds ?? 24 * 60 * 60_000;
  }

  /**
   * Looks through the next events, and takes the messages in that wait for a final status.
   */
  enrolFromEvents(): Promise<Enrolment> {
    return this.enrol(ENROL_FROM_EVENTS);
  }

  /** The same, for the rows of `messages`: nothing may ever have been reported about those. */
  enrolFromMessages(): Promise<Enrolment> {
    return this.enrol(ENROL_FROM_MESSAGES, this.options.accountSid);
  }

  /** Whether `messages` can be looked through by `created_at` without reading all of an application's table. */
  async areMessagesIndexed(): Promise<boolean> {
    const [row] = await this.dataSource.query<{ indexed: boolean }[]>(MESSAGES_ARE_INDEXED);
    return row?.indexed ?? false;
  }

  /**
   * Takes messages that are due by moving their next poll ahead, so that a crash delays them and never has two
   * replicas ask. Those with a final status by now are forgotten instead.
   * @returns `more`: whether others may be due.
   */
  async claim(): Promise<{ claimed: ClaimedPoll[]; more: boolean }> {
    const due = await this.dataSource.query<(ClaimedPoll & { isClaimed: boolean })[]>(CLAIM, [
      CLAIMED_ROWS,
      FINAL_STATUSES,
      this.afterMilliseconds,
      this.giveUpAfterMilliseconds,
    ]);
    return { claimed: due.filter(({ isClaimed }) => isClaimed), more: due.length === CLAIMED_ROWS };
  }

  /** Makes messages due again that were claimed and not asked about. */
  async giveBack(messageSids: readonly string[], delayMilliseconds: number): Promise<void> {
    await this.dataSource.query(
      `update message_polls
          set polls = greatest(polls - 1, 0), next_poll_at = now() + $2 * interval '1 millisecond'
        where message_sid = any ($1)`,
      [messageSids, delayMilliseconds],
    );
  }

  async forget(messageSid: string): Promise<void> {
    await this.dataSource.query('delete from message_polls where message_sid = $1', [messageSid]);
  }

  private async enrol(statement: string, ...more: readonly string[]): Promise<Enrolment> {
    const [row] = await this.dataSource.query<{ rows: number; unlinked: string[] }[]>(statement, [
      this.afterMilliseconds,
      this.giveUpAfterMilliseconds,
      LOOKED_THROUGH_ROWS,
      FINAL_STATUSES,
      ...more,
    ]);
    return { unlinked: row?.unlinked ?? [], more: row?.rows === LOOKED_THROUGH_ROWS };
  }
}
