import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FINAL_STATUSES } from '../message-events/message-status.js';
import { MODULE_OPTIONS_TOKEN, type StatusPollingModuleOptions } from './status-polling.module-definition.js';
import { CLAIM, ENROL_FROM_EVENTS, ENROL_FROM_MESSAGES, MESSAGES_ARE_INDEXED } from './message-polls.sql.js';

/** Rows that one statement reads. This bounds its time. */
const LOOKED_THROUGH_ROWS = 2_000;

/** Messages that a replica takes at a time. */
const CLAIMED_ROWS = 50;

/**
 * `created_at` is the start of a transaction, so rows become visible in another order. Rows younger than the longest
 * transaction are left for later; a statement may take four seconds.
 */
const COMMIT_DELAY_MILLISECONDS = 20_000;

/** A message that only this replica polls until its next poll is due. */
export interface ClaimedPoll {
  readonly messageSid: string;
  readonly accountSid: string;
  /** True if the next poll would come after polling for the message ends. */
  readonly isLast: boolean;
}

/** The result of one step through the events or the messages. */
export interface Enrolment {
  /** Messages with a row in `messages` and an event that is not tied to it. */
  readonly unlinked: readonly string[];
  /** Whether there may be more rows to read. */
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

  /** Reads the next events and enrols the messages that wait for a final status. */
  enrolFromEvents(): Promise<Enrolment> {
    return this.enrol(ENROL_FROM_EVENTS);
  }

  /** Does the same for the rows of `messages`, which may have no event at all. */
  enrolFromMessages(): Promise<Enrolment> {
    return this.enrol(ENROL_FROM_MESSAGES, this.options.accountSid);
  }

  /** Whether `messages` can be read by `created_at` without a full scan of the application's table. */
  async areMessagesIndexed(): Promise<boolean> {
    const [row] = await this.dataSource.query<{ indexed: boolean }[]>(MESSAGES_ARE_INDEXED);
    return row?.indexed ?? false;
  }

  /**
   * Claims due messages by moving their next poll ahead, so that a crash only delays them and two replicas never poll
   * the same one. Messages with a final status are removed instead.
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

  /** Makes claimed messages due again that were not polled. */
  async giveBack(messageSids: readonly string[], delayMilliseconds: number): Promise<void> {
    await this.dataSource.query(
      `update message_polls
          set polls = greatest(polls - 1, 0), next_poll_at = now() + $2 * interval '1 millisecond'
        where message_sid = any ($1)`,
      [messageSids, delayMilliseconds],
    );
  }

  /** Forgets a message, unless an event has named another account by now, which is to be asked. */
  async forget({ messageSid, accountSid }: ClaimedPoll): Promise<void> {
    await this.dataSource.query('delete from message_polls where message_sid = $1 and account_sid = $2', [
      messageSid,
      accountSid,
    ]);
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
