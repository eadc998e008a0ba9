import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { fallbackInWords } from '../fallback/fallback-in-words.js';
import type { SmsFallbackState } from '../fallback/sms-fallback.entity.js';
import { BUCKETS, type Statistics, type StatisticsQuery } from './statistics-query.js';

/** Rows of an answer at the most. 336 hours have so many with 60 combinations of channel, status and code. */
const MAXIMUM_ROWS = 20_000;

interface OutcomeRow {
  at: Date;
  state: SmsFallbackState;
  reason: string | null;
  errorCode: string | null;
  count: number;
  delivered: number;
}

/** The SQL of `GET /stats`. Each statement looks at the rows of that time only. */
@Injectable()
export class StatisticsStore {
  constructor(private readonly dataSource: DataSource) {}

  async find({ from, to, bucket }: StatisticsQuery): Promise<Statistics> {
    const parameters = [from, to, `${BUCKETS[bucket].milliseconds} milliseconds`];
    const events = await this.dataSource.query<Statistics['events']>(EVENTS, parameters);
    const outcomes = await this.dataSource.query<OutcomeRow[]>(OUTCOMES, parameters);
    const [timeToSms] = await this.dataSource.query<Statistics['timeToSms'][]>(TIME_TO_SMS, [from, to]);
    return {
      from,
      to,
      bucket,
      events,
      funnel: funnelOf(outcomes),
      course: courseOf(outcomes),
      timeToSms: timeToSms ?? { p50: null, p95: null, longest: null },
    };
  }
}

/** By message_events_created_at_idx. */
const EVENTS = `
select date_bin($3::interval, created_at, timestamptz '2000-01-01 00:00Z') as at, channel, message_status as status,
       error_code as "errorCode", count(*)::int as count
  from message_events
 where created_at >= $1 and created_at < $2
 group by 1, 2, 3, 4 order by 1, 2, 3, 4 limit ${MAXIMUM_ROWS}`;

/** By sms_fallbacks_created_at_idx, and for each SMS by the unique key of its events. */
const OUTCOMES = `
select date_bin($3::interval, created_at, timestamptz '2000-01-01 00:00Z') as at, state, reason,
       case state when 'failed' then last_error_code end as "errorCode", count(*)::int as count,
       (count(*) filter (where state = 'sent' and exists (
         select from message_events
          where message_sid = sms_message_sid and message_status in ('delivered', 'read')
       )))::int as delivered
  from sms_fallbacks
 where created_at >= $1 and created_at < $2
 group by 1, 2, 3, 4 order by 1, 2, 3, 4 limit ${MAXIMUM_ROWS}`;

/** The newest of a time tell enough of it. */
const TIMED_SMS = 1_000;

/** A fallback that was tried again on purpose tells of the operator's time, not of the service's. */
const TIME_TO_SMS = `
with newest as (
  select sent_at, created_at, message_event_id from sms_fallbacks
   where created_at >= $1 and created_at < $2 and sent_at is not null and retried_at is null
   order by created_at desc, id desc limit ${TIMED_SMS}
),
sent as (
  select extract(epoch from sent_at - coalesce(message_events.created_at, newest.created_at))::float8 as seconds
    from newest left join message_events on message_events.id = message_event_id
)
select percentile_cont(0.5) within group (order by seconds) as p50,
       percentile_cont(0.95) within group (order by seconds) as p95, max(seconds) as longest
  from sent`;

function funnelOf(rows: readonly OutcomeRow[]): Statistics['funnel'] {
  const skipped = new Map<string, Statistics['funnel']['skipped'][number]>();
  const failed = new Map<string, Statistics['funnel']['failed'][number]>();
  for (const { state, reason, errorCode, count } of rows) {
    if (reason === null) continue;
    const meaning = fallbackInWords({ state, reason });
    if (state === 'skipped') add(skipped, reason, { reason, meaning, count });
    if (state === 'failed')
      add(failed, `${reason} ${errorCode ?? ''}`, { reason, meaning, errorCode, count });
  }
  return {
    ...totals(rows),
    open: sum(rows.filter(({ state }) => /^(claimed|sending|uncertain)$/.test(state))),
    skipped: mostFirst(skipped),
    failed: mostFirst(failed),
  };
}

function courseOf(rows: readonly OutcomeRow[]): Statistics['course'] {
  const buckets = new Map<number, OutcomeRow[]>();
  for (const row of rows) {
    const at = row.at.getTime();
    buckets.set(at, [...(buckets.get(at) ?? []), row]);
  }
  return [...buckets].map(([at, ofBucket]) => ({
    at: new Date(at),
    ...totals(ofBucket),
    skipped: sum(ofBucket.filter(({ state }) => state === 'skipped')),
    failed: sum(ofBucket.filter(({ state }) => state === 'failed')),
  }));
}

function totals(rows: readonly OutcomeRow[]) {
  return {
    policyFailures: sum(rows),
    smsSent: sum(rows.filter(({ state }) => state === 'sent')),
    smsDelivered: rows.reduce((total, { delivered }) => total + delivered, 0),
  };
}

function sum(rows: readonly OutcomeRow[]): number {
  return rows.reduce((total, { count }) => total + count, 0);
}

function add<Entry extends { count: number }>(entries: Map<string, Entry>, key: string, entry: Entry): void {
  const known = entries.get(key);
  if (known === undefined) entries.set(key, entry);
  else known.count += entry.count;
}

function mostFirst<Entry extends { count: number }>(entries: Map<string, Entry>): Entry[] {
  return [...entries.values()].sort((one, other) => other.count - one.count);
}
