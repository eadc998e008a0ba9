import { Injectable, Logger, Optional } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { ToldReasons } from '../messages/application-tables.js';
import { MessageRecorder } from '../messages/message-recorder.js';
import { STATUSES_BY_RANK } from '../messages/message-status.js';
import { againAfterRefusal, againSoon, type MessageAgain, type TakenMessage } from './event-outbox.js';

/**
 * When to look again for the missing row of a failed message, in milliseconds: the failure may be its last event, and
 * may arrive before the application commits the row.
 */
const LOOK_AGAIN = [5_000, 10 * 60_000];

const FAILURES: readonly string[] = ['failed', 'undelivered'];

/** Sets each of the application's messages to its highest status in the log. */
@Injectable()
export class MessageStatuses {
  private readonly logger = new Logger(MessageStatuses.name);
  private readonly told = new ToldReasons();

  /** @param recorder updates the application's messages; missing if it has none. */
  constructor(@Optional() private readonly recorder?: MessageRecorder) {}

  /** @returns the messages to try again. */
  async follow(manager: EntityManager, messages: readonly TakenMessage[]): Promise<MessageAgain[]> {
    if (this.recorder === undefined) return [];
    const rows = await manager.query<{ sid: string; status: string }[]>(HIGHEST, [
      messages.map(({ messageSid }) => messageSid),
      STATUSES_BY_RANK,
    ]);
    if (rows.length === 0) return [];
    const statuses = new Map(rows.map(({ sid, status }) => [sid, status]));
    const { missing, busy, refused } = await this.recorder.recordStatuses(manager, statuses);
    return messages.flatMap((message): MessageAgain | [] => {
      const { messageSid, tries } = message;
      const reason = refused.get(messageSid);
      if (reason !== undefined) {
        this.tellOfRefusal(messageSid, reason);
        return againAfterRefusal(message) ?? [];
      }
      if (busy.has(messageSid)) return againSoon(message);
      const inMilliseconds = LOOK_AGAIN[tries];
      const isFailure = FAILURES.includes(statuses.get(messageSid) ?? '');
      if (!isFailure || !missing.has(messageSid) || inMilliseconds === undefined) return [];
      return { messageSid, tries: tries + 1, inMilliseconds };
    });
  }

  private tellOfRefusal(messageSid: string, error: string): void {
    this.logger[this.told.add(error) ? 'warn' : 'debug'](
      'The event is stored, and messages does not take its status',
      { messageSid, error },
    );
  }
}

const HIGHEST = `
select distinct on (message_sid) message_sid as sid, message_status as status
  from message_events
 where message_sid = any ($1) and message_status = any ($2)
 order by message_sid, array_position($2::text[], message_status) desc`;
