import { Injectable, Logger, Optional } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { ToldReasons } from '../messages/application-tables.js';
import { MessageRecorder } from '../messages/message-recorder.js';
import { STATUSES_BY_RANK } from '../messages/message-status.js';
import type { TakenMessage } from './event-outbox.js';

/** A row that is locked is tried again after this time, which doubles, in milliseconds. */
const SHORTEST_BUSY = 500;
const LONGEST_BUSY = 30_000;

/** The table refuses a row until its owner changes the table, so frequent retries would be useless. */
const SHORTEST_REFUSAL = 10_000;
const LONGEST_REFUSAL = 6 * 60 * 60_000;

/** About three days. */
const MOST_REFUSALS = 21;

/**
 * When to look again for the row of a message that has failed, in milliseconds: a failure may be its last event, and may
 * come before the application commits the row.
 */
const LOOK_AGAIN = [5_000, 10 * 60_000];

const FAILURES: readonly string[] = ['failed', 'undelivered'];

type Again = TakenMessage & { readonly inMilliseconds: number };

/** Lets the application's messages have the highest status that the log has of them. */
@Injectable()
export class MessageStatuses {
  private readonly logger = new Logger(MessageStatuses.name);
  private readonly told = new ToldReasons();

  /** @param recorder without one, the application has no messages to bring up to date. */
  constructor(@Optional() private readonly recorder?: MessageRecorder) {}

  /** @returns the messages that could not follow, to be tried again. */
  async follow(manager: EntityManager, messages: readonly TakenMessage[]): Promise<Again[]> {
    if (this.recorder === undefined) return [];
    const rows = await manager.query<{ sid: string; status: string }[]>(HIGHEST, [
      messages.map(({ messageSid }) => messageSid),
      STATUSES_BY_RANK,
    ]);
    if (rows.length === 0) return [];
    const statuses = new Map(rows.map(({ sid, status }) => [sid, status]));
    const { missing, busy, refused } = await this.recorder.recordStatuses(manager, statuses);
    const delayOf = ({ messageSid, tries }: TakenMessage): number | undefined => {
      const reason = refused.get(messageSid);
      if (reason !== undefined) return this.afterRefusal(messageSid, tries, reason);
      if (busy.has(messageSid)) return Math.min(SHORTEST_BUSY * 2 ** tries, LONGEST_BUSY);
      const isFailure = FAILURES.includes(statuses.get(messageSid) ?? '');
      return isFailure && missing.has(messageSid) ? LOOK_AGAIN[tries] : undefined;
    };
    return messages.flatMap((message): Again[] => {
      const inMilliseconds = delayOf(message);
      return inMilliseconds === undefined ? [] : [{ ...message, tries: message.tries + 1, inMilliseconds }];
    });
  }

  private afterRefusal(messageSid: string, tries: number, reason: string): number | undefined {
    this.logger[this.told.add(reason) ? 'warn' : 'debug'](
      'The event is stored, and messages does not take its status',
      { messageSid, error: reason },
    );
    return tries >= MOST_REFUSALS ? undefined : Math.min(SHORTEST_REFUSAL * 2 ** tries, LONGEST_REFUSAL);
  }
}

const HIGHEST = `
select distinct on (message_sid) message_sid as sid, message_status as status
  from message_events
 where message_sid = any ($1) and message_status = any ($2)
 order by message_sid, array_position($2::text[], message_status) desc`;
