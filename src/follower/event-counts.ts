import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { NewEvent } from './event-outbox.js';

/** Writes `message_event_counts`, the source of statistics. */
@Injectable()
export class EventCounts {
  async add(manager: EntityManager, events: readonly NewEvent[]): Promise<void> {
    if (events.length === 0) return;
    await manager.query(COUNT, [
      events.map(({ createdAt }) => createdAt.toISOString()),
      events.map(({ channel }) => channel),
      events.map(({ messageStatus }) => messageStatus),
      events.map(({ errorCode }) => errorCode ?? ''),
    ]);
  }
}

/** In the order of the keys, so that two replicas cannot block each other. */
const COUNT = `
with minutes as materialized (
  select date_bin('1 minute', created_at, timestamptz '2000-01-01 00:00Z') as begins_at,
         left(channel, 64) as channel, message_status, error_code, count(*)::int as events
    from unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[]) as event (created_at, channel, message_status, error_code)
   group by 1, 2, 3, 4
)
insert into message_event_counts as known (unit, begins_at, channel, message_status, error_code, events)
select unit, date_bin(length, begins_at, timestamptz '2000-01-01 00:00Z'), channel, message_status, error_code,
       sum(events)
  from minutes cross join (values
    ('minute', interval '1 minute'), ('hour', interval '1 hour'), ('day', interval '1 day')
  ) as units (unit, length)
 group by 1, 2, 3, 4, 5
 order by 1, 2, 3, 4, 5
on conflict (unit, begins_at, channel, message_status, error_code) do update set events = known.events + excluded.events`;
