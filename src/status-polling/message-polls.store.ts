import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type { NewEvent } from '../follower/event-outbox.js';
import { FINAL_STATUSES, isFinal, STATUSES_BY_RANK } from '../messages/message-status.js';
import {
  CLAIM,
  ENROL_FROM_EVENTS,
  ENROL_FROM_MESSAGES,
  FORGET_ENDED,
  MESSAGES_ARE_INDEXED,
} from './message-polls.sql.js';
import { MODULE_OPTIONS_TOKEN, type StatusPollingModuleOptions } from './status-polling.module-definition.js';

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

/** The result of one step through `messages`. */
export interface Enrolment {
  /** Messages whose row is behind their events, because it was added after the last of them. */
  readonly behind: readonly string[];
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

  /** Enrols the WhatsApp messages that wait for a final status after new events, and forgets those that have one. */
  async follow(manager: EntityManager, events: readonly NewEvent[]): Promise<void> {
    const ofWhatsapp = events.filter(({ channel }) => channel === 'whatsapp');
    const ended = ofWhatsapp.filter(({ messageStatus }) => isFinal(messageStatus));
    const waiting = ofWhatsapp.filter(({ messageStatus }) => !isFinal(messageStatus));
    if (ended.length > 0) await manager.query(FORGET_ENDED, [ended.map(({ messageSid }) => messageSid)]);
    if (waiting.length === 0) return;
    await manager.query(ENROL_FROM_EVENTS, [
      this.afterMilliseconds,
      FINAL_STATUSES,
      waiting.map(({ messageSid }) => messageSid),
      waiting.map(({ accountSid }) => accountSid),
      waiting.map(({ createdAt }) => createdAt),
    ]);
  }

  /** Reads the next rows of `messages`, which may have no event at all, and enrols those that wait for a final status. */
  async enrolFromMessages(): Promise<Enrolment> {
    const [row] = await this.dataSource.query<{ rows: number; behind: string[] }[]>(ENROL_FROM_MESSAGES, [
      this.afterMilliseconds,
      FINAL_STATUSES,
      this.giveUpAfterMilliseconds,
      LOOKED_THROUGH_ROWS,
      this.options.accountSid,
      STATUSES_BY_RANK,
    ]);
    return { behind: row?.behind ?? [], more: row?.rows === LOOKED_THROUGH_ROWS };
  }

  /** Whether `messages` can be read by `created_at` without a full scan of the application's table. */
  async areMessagesIndexed(): Promise<boolean> {
    const [row] = await this.dataSource.query<{ indexed: boolean }[]>(MESSAGES_ARE_INDEXED);
    return row?.indexed ?? false;
  }

  /**
   * Claims due messages by moving their next poll ahead, so that a crash only delays them and two replicas never poll
   * the same one. Messages with a final status, and those that have waited for too long, are removed instead.
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
}
