import { Injectable, Logger, Optional } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { ToldReasons } from '../messages/application-tables.js';
import { MessageRecorder } from '../messages/message-recorder.js';
import { STATUSES_BY_RANK } from '../messages/message-status.js';
import type { TakenMessage } from './event-outbox.js';

/** The first and the longest delay before a locked row is tried again, in milliseconds. The delays double. */
const SHORTEST_BUSY = 500;
const LONGEST_BUSY = 30_000;

/** The delays after a refusal. They are longer, because a table refuses a row until its owner changes the table. */
const SHORTEST_REFUSAL = 10_000;
const LONGEST_REFUSAL = 6 * 60 * 60_000;

/** The maximum number of refusals, which takes about three days. */
const MOST_REFUSALS = 21;

/**
 * When to look again for the missing row of a failed message, in milliseconds: the failure may be its last event, and
 * may arrive before the application commits the row.
 */
const LOOK_AGAIN = [5_000, 10 * 60_000];

const FAILURES: readonly string[] = ['failed', 'undelivered'];

type Again = TakenMessage & { readonly inMilliseconds: number };

/** Sets each of the application's messages to its highest status in the log. */
@Injectable()
export class MessageStatuses {
  private readonly logger = new Logger(MessageStatuses.name);
  private readonly told = new ToldReasons();

  /** @param recorder updates the application's messages; missing if it has none. */
  constructor(@Optional() private readonly recorder?: MessageRecorder) {}

  /** @returns the messages to try again. */
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
