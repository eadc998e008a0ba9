import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { NewEvent } from './event-outbox.js';

/** The units that events are counted by, with their lengths in milliseconds. All are aligned to UTC. */
export const COUNT_UNITS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

export type CountUnit = keyof typeof COUNT_UNITS;

const LARGEST_FIRST = ['day', 'hour', 'minute'] as const satisfies readonly CountUnit[];

/** A period that the counts of one unit cover. */
export interface CountedPeriod {
  readonly unit: CountUnit;
  readonly from: Date;
  /** Exclusive. */
  readonly to: Date;
}

/**
 * Splits a period by the units of the counts, so that as few counts as possible are added up: whole units of the
 * largest kind, and finer ones at both ends.
 * @param from a whole minute, as is `to`.
 * @param largest no unit is larger than this one.
 */
export function countedPeriods(from: Date, to: Date, largest: CountUnit): CountedPeriod[] {
  return split(from.getTime(), to.getTime(), LARGEST_FIRST.slice(LARGEST_FIRST.indexOf(largest)));
}

function split(from: number, to: number, units: readonly CountUnit[]): CountedPeriod[] {
  const [unit, ...finer] = units;
  if (unit === undefined || from >= to) return [];
  const length = COUNT_UNITS[unit];
  const begin = Math.ceil(from / length) * length;
  const end = Math.floor(to / length) * length;
  if (begin >= end) return split(from, to, finer);
  return [
    ...split(from, begin, finer),
    { unit, from: new Date(begin), to: new Date(end) },
    ...split(end, to, finer),
  ];
}

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

/** The order of the keys keeps two replicas from blocking each other. */
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
