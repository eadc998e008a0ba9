import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { GroupCommit, isDataError, OF_ONE_TURN } from '../process/group-commit.js';
import { InjectDatabase } from '../process/inject-database.js';
import type { UserIds } from './channel-address.js';
import { DELIVERED_STATUSES } from '../messages/message-status.js';

/** An event of a message, with further values from its payload. */
export interface LoggedEvent extends UserIds {
  /** `message_events.id` */
  readonly id: string;
  readonly errorCode: string | null;
  readonly messageStatus: string;
  readonly source: 'callback' | 'poll';
  readonly toNumber: string | null;
  /** The recipient's address as Twilio wrote it. */
  readonly to: string | null;
  readonly createdAt: Date;
  /** The sending time according to Twilio; only polls have it, callbacks do not. */
  readonly dateSent: string | null;
  /** The template that the message was made from, if Twilio names it. */
  readonly contentSid: string | null;
  readonly numMedia: string | null;
}

/** Bounds the answer; Twilio has 13 statuses. */
const MAXIMUM_EVENTS = 100;

/** Reads the history of a message and its recipient from the log. */
@Injectable()
export class MessageHistory {
  private readonly searches: GroupCommit<string, LoggedEvent[]>;

  constructor(@InjectDatabase() private readonly dataSource: DataSource) {
    this.searches = new GroupCommit((messageSids) => this.search(messageSids), isDataError, OF_ONE_TURN);
  }

  /** Returns the events of a message, oldest first. Searches at the same time share a statement. */
  findEvents(messageSid: string): Promise<LoggedEvent[]> {
    return this.searches.add(messageSid);
  }

  private async search(messageSids: readonly string[]): Promise<LoggedEvent[][]> {
    const rows = await this.dataSource.query<(LoggedEvent & { messageSid: string })[]>(FIND_EVENTS, [
      messageSids,
    ]);
    const events = new Map<string, LoggedEvent[]>();
    for (const { messageSid, ...event } of rows) {
      const known = events.get(messageSid);
      if (known === undefined) events.set(messageSid, [event]);
      else known.push(event);
    }
    return messageSids.map((messageSid) => events.get(messageSid) ?? []);
  }

  /**
   * Returns the number in the account's latest event about this person that has one of the IDs too.
   * @returns E.164; null if no event has both.
   */
  async findNumber(accountSid: string, { userId, parentUserId }: UserIds): Promise<string | null> {
    if (userId === null && parentUserId === null) return null;
    const [row] = await this.dataSource.query<{ number: string }[]>(
      `select number from (
         (select to_number as number, created_at from message_events
           where user_id = $2 and ${NAMES_NUMBER} order by created_at desc limit 1)
         union all
         (select to_number, created_at from message_events
           where parent_user_id = $3 and ${NAMES_NUMBER} order by created_at desc limit 1)
       ) as known order by created_at desc limit 1`,
      [accountSid, userId, parentUserId],
    );
    return row?.number ?? null;
  }
}

/** Connections prepare it (src/whatsapp-sms-fallback.module.ts): planning took longer than reading. */
export const FIND_EVENTS = `
select message_sid as "messageSid", id, error_code as "errorCode", message_status as "messageStatus", source, to_number as "toNumber", user_id as "userId",
       parent_user_id as "parentUserId", created_at as "createdAt", payload->>'dateSent' as "dateSent",
       coalesce(payload->>'To', payload->>'to') as "to",
       coalesce(payload->>'ContentSid', payload->>'contentSid') as "contentSid",
       coalesce(payload->>'NumMedia', payload->>'numMedia') as "numMedia"
  from (select distinct unnest($1::text[]) as sid) as wanted
 cross join lateral (
   -- \`offset 0\` keeps PostgreSQL from searching the index of \`created_at\`.
   select * from (select * from message_events where message_sid = sid offset 0) as own
    order by created_at, id limit ${MAXIMUM_EVENTS}
 ) as event`;

const NAMES_NUMBER = `account_sid = $1 and to_number ~ '^[+][1-9][0-9]{6,14}$'`;

/** Whether the events say that the person has the message. */
export function isDelivered(events: readonly Pick<LoggedEvent, 'messageStatus'>[]): boolean {
  return events.some(({ messageStatus }) => DELIVERED_STATUSES.includes(messageStatus));
}
