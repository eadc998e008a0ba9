import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type EventCountsModuleOptions, MODULE_OPTIONS_TOKEN } from './event-counts.module-definition.js';
import { queryPatiently } from './patient-statement.js';

/** Events that are younger are left for later: what adds them has had its time to show in `pg_stat_activity`. */
const SETTLING_MILLISECONDS = 10_000;

/** Transactions of others may last for hours and have nothing to do with events. */
const LONGEST_WAIT_MILLISECONDS = 60_000;

/**
 * In one transaction, so that it stays short, even where rows are read from a disk, and however many events a second there
 * are. Those of a single instant are never divided: callbacks are never so many at once, and for whatever else adds them one
 * long transaction is simpler than a watermark amid an instant. 300,000 take some 1.5 s.
 */
const EVENTS_IN_TRANSACTION = 10_000;

/** The SQL of `message_event_counts` and its watermark. */
@Injectable()
export class EventCountsStore {
  private readonly eventsInTransaction: number;
  private readonly settlingMilliseconds: number;
  private readonly longestWaitMilliseconds: number;

  constructor(
    private readonly dataSource: DataSource,
    @Inject(MODULE_OPTIONS_TOKEN) options: EventCountsModuleOptions,
  ) {
    this.eventsInTransaction = options.eventsInTransaction ?? EVENTS_IN_TRANSACTION;
    this.settlingMilliseconds = options.settlingMilliseconds ?? SETTLING_MILLISECONDS;
    this.longestWaitMilliseconds = options.longestWaitMilliseconds ?? LONGEST_WAIT_MILLISECONDS;
  }

  /**
   * Counts the next events. Where another replica does so at this moment, it is left to that one.
   * @param signal cancels it; then it rejects, and nothing is counted.
   * @returns whether there are more for this one.
   */
  async countNext(signal: AbortSignal): Promise<boolean> {
    const [step] = await this.dataSource.query<Step[]>(NEXT_STEP, [
      this.settlingMilliseconds,
      this.eventsInTransaction,
      this.longestWaitMilliseconds,
    ]);
    if (step === undefined) return false;
    const { from, to, more } = step;
    const [counted] = await queryPatiently<{ isMoved: boolean }>(
      this.dataSource,
      COUNT,
      [from, to, more],
      signal,
    );
    return more && counted?.isMoved === true;
  }
}

/** The time whose events are counted next, as text: a Date has no microseconds. */
interface Step {
  readonly from: string;
  readonly to: string;
  readonly more: boolean;
}

/**
 * By message_events_created_at_idx. $1: how old the events are at the least, in milliseconds; $2: how many. More than that
 * of one instant would never let it move on.
 *
 * `created_at` is the start of a transaction, so events become visible in another order: whatever is still under way may
 * add one that is older than those after it. It is waited for, at the most for $3 milliseconds; an event that becomes visible
 * later than that is in the log and in no count. This statement is one of those that are under way, so that there is a start,
 * but where PostgreSQL does not keep them (`track_activities`); then as much time is left as if there were an old one.
 */
const NEXT_STEP = `
with settled as (
  select greatest(min(xact_start), now() - $3 * interval '1 millisecond') - $1 * interval '1 millisecond' as until
    from pg_stat_activity
   where datname = current_database() and backend_type is distinct from 'autovacuum worker'
)
select counted_until::text as from, beyond.created_at is not null as more,
       (case when beyond.created_at is null then settled.until
             else greatest(beyond.created_at, counted_until + interval '1 microsecond') end)::text as to
  from message_event_count_watermark cross join settled left join lateral (
    select created_at from message_events
     where created_at >= counted_until and created_at < settled.until
     order by created_at offset $2 limit 1
  ) as beyond on true`;

/**
 * In one statement, and so in one transaction, by message_events_created_at_idx, and for the ends of SMS by the unique
 * key of their SIDs. Whoever has the watermark locked, and where it was, adds the step to the counts. It may end amid a
 * minute: the next one adds to the same rows. An SMS whose fallback names it later than its end is counted is seen by
 * SentSmsStore. An SMS is never reported as one of WhatsApp, which most events are.
 *
 * The step is a parameter ($1, $2), and not a part of this statement, because the planner has to know that it is short: it
 * would compile the statement otherwise, which takes longer than a statement may. $3: whether there are more events.
 */
const COUNT = `
with watermark as (
  select from message_event_count_watermark where counted_until = $1::timestamptz for update skip locked
),
events as materialized (
  select message_sid, channel, message_status, error_code, created_at
    from watermark cross join message_events where created_at >= $1 and created_at < $2
),
minutes as materialized (
  select date_bin('1 minute', created_at, timestamptz '2000-01-01 00:00Z') as begins_at,
         left(channel, 64) as channel, message_status, coalesce(error_code, '') as error_code, count(*)::int as events
    from events group by 1, 2, 3, 4
),
counted as (
  insert into message_event_counts as known (unit, begins_at, channel, message_status, error_code, events)
  select unit, date_bin(length, begins_at, timestamptz '2000-01-01 00:00Z'), channel, message_status, error_code,
         sum(events)
    from minutes cross join (values
      ('minute', interval '1 minute'), ('hour', interval '1 hour'), ('day', interval '1 day')
    ) as units (unit, length)
   group by 1, 2, 3, 4, 5
  on conflict (unit, begins_at, channel, message_status, error_code) do update
    set events = known.events + excluded.events
),
ended as (
  select fallback.id, min(created_at) filter (where is_delivered) as delivered_at,
         min(created_at) filter (where not is_delivered) as undelivered_at,
         (array_agg(error_code order by created_at) filter (where not is_delivered))[1] as error_code
    from events cross join lateral (
      select id, message_status in ('delivered', 'read') as is_delivered
        from sms_fallbacks where sms_message_sid = events.message_sid and sms_delivered_at is null limit 1
    ) as fallback
   where message_status in ('delivered', 'read', 'failed', 'undelivered') and channel <> 'whatsapp'
   group by fallback.id
),
recorded as (
  update sms_fallbacks
     set sms_delivered_at = ended.delivered_at,
         sms_undelivered_at = coalesce(sms_undelivered_at, ended.undelivered_at),
         sms_error_code = case when sms_undelivered_at is null then ended.error_code else sms_error_code end
    from ended where sms_fallbacks.id = ended.id and sms_delivered_at is null
),
moved as (
  update message_event_count_watermark set counted_until = $2
   where exists (select from watermark) and ($3::boolean or exists (select from minutes))
  returning counted_until
)
select exists (select from moved) as "isMoved"`;
