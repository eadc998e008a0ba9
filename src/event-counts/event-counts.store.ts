import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type EventCountsModuleOptions, MODULE_OPTIONS_TOKEN } from './event-counts.module-definition.js';
import { queryPatiently } from './patient-statement.js';

/**
 * Younger events are left for later, so that every transaction that adds one has had time to show in
 * `pg_stat_activity`.
 */
const SETTLING_MILLISECONDS = 10_000;

/** A limit, because unrelated transactions may last for hours. */
const LONGEST_WAIT_MILLISECONDS = 60_000;

/**
 * The limit for one transaction, which keeps it short even if rows are read from a disk. Events of a single instant are
 * never divided: callbacks never come in such numbers at once, and for other sources one long transaction is simpler
 * than a watermark within an instant. 300,000 events take about 1.5 s.
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
   * Counts the next events. If another replica does so now, this one does nothing.
   * @param signal cancels the count; then the promise rejects and nothing is counted.
   * @returns whether there are more events for this replica.
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

/** The period whose events are counted next, as text: a Date has no microseconds. */
interface Step {
  readonly from: string;
  readonly to: string;
  readonly more: boolean;
}

/**
 * Finds the next period. Uses message_events_created_at_idx. $1: the minimum age of the events in milliseconds; $2: how
 * many. An instant with more events than that must not block progress.
 *
 * `created_at` is the start of a transaction, so events become visible in another order: a running transaction may
 * still add an event that is older than visible ones. The statement waits for it, at most $3 milliseconds; an event
 * that becomes visible later is in the log but in no count. This statement itself is a running transaction, so a start
 * time always exists, unless PostgreSQL does not track them (`track_activities`); then it leaves as much time as for an
 * old transaction.
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
 * Counts a step in one statement and so in one transaction. It uses message_events_created_at_idx and, for the ends of
 * SMS, the unique key of their SIDs. The replica that locks the watermark at its expected position adds the step to the
 * counts. A step may end within a minute: the next one adds to the same rows. SentSmsStore handles an SMS whose
 * fallback names it only after its end was counted. An SMS is never reported as a WhatsApp message, which most events
 * are.
 *
 * The step is a parameter ($1, $2) and not a part of this statement, because the planner must know that it is short:
 * otherwise it would compile the statement, which takes longer than a statement may. $3: whether there are more events.
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
