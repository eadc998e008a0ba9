import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { STATUSES_BY_RANK } from './message-status.js';

/** The SQL that ties events to the application's `messages`. */
@Injectable()
export class MessageLinksStore {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * Sets `message_events.message_id` and `messages.status` of these messages, where they have a row. The status is the
   * highest by rank among all events, so the order in which they came is of no matter.
   * @returns the SIDs whose row somebody else has locked at this moment; they were left alone.
   */
  async link(messageSids: readonly string[]): Promise<Set<string>> {
    const locked = await this.dataSource.query<{ sid: string }[]>(LINK, [messageSids, STATUSES_BY_RANK]);
    return new Set(locked.map(({ sid }) => sid));
  }
}

const LINK = `
with known as (
  select id, twilio_sid from messages where twilio_sid = any ($1::text[])
),
available as (
  select id, twilio_sid from messages where twilio_sid = any ($1::text[])
  for no key update skip locked
),
linked as (
  update message_events set message_id = available.id
  from available
  where message_sid = available.twilio_sid and message_id is null
),
newest as (
  select distinct on (message_sid) message_sid, message_status, rank
  from message_events, array_position($2::text[], message_status) as rank
  where message_sid = any ($1::text[]) and rank is not null
  order by message_sid, rank desc
),
followed as (
  update messages set status = newest.message_status
  from available join newest on newest.message_sid = available.twilio_sid
  where messages.id = available.id and newest.rank > coalesce(array_position($2::text[], messages.status), 0)
)
select twilio_sid as sid from known where id not in (select id from available)`;
