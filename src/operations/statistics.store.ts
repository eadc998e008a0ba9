import { Get, Injectable, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { fallbackInWords } from '../fallback/fallback-reasons.js';
import { isOpen, type SmsFallbackState } from '../fallback/sms-fallback-state.js';
import { COUNT_UNITS, countedPeriods } from '../follower/event-counts.js';
import { InjectDatabase } from '../process/inject-database.js';
import { OperatorsApi } from './operators-api.decorator.js';
import { parameters, time } from './page.js';

const { minute: MINUTE, hour: HOUR, day: DAY } = COUNT_UNITS;

/** The length of each bucket, and the longest time range it may divide, in milliseconds. */
export const BUCKETS = {
  minute: { milliseconds: MINUTE, longest: DAY / 4 },
  hour: { milliseconds: HOUR, longest: 14 * DAY },
  day: { milliseconds: DAY, longest: 92 * DAY },
} as const;

/** Default: the last day. Events are counted by the minute, so both ends are whole minutes. */
export const statisticsQuery = parameters({
  from: time.optional().describe('default: a day before `to`; rounded down to a whole minute'),
  to: time.optional().describe('default: now; rounded up to a whole minute'),
  bucket: z
    .enum(['minute', 'hour', 'day'])
    .default('hour')
    .describe('in UTC; minutes for at most 6 hours, hours for 14 days, days for 92 days'),
})
  .transform(({ from, to = roundedUp(new Date()), bucket }) => ({
    from: from ?? new Date(to.getTime() - Math.min(DAY, BUCKETS[bucket].longest)),
    to,
    bucket,
  }))
  .superRefine(({ from, to, bucket }, context) => {
    const duration = to.getTime() - from.getTime();
    if (duration <= 0) context.addIssue({ code: 'custom', path: ['from'], message: 'is not before `to`' });
    if (duration > BUCKETS[bucket].longest) {
      const message = `is too fine for this time range: at most ${BUCKETS[bucket].longest / HOUR} hours`;
      context.addIssue({ code: 'custom', path: ['bucket'], message });
    }
  })
  .transform(({ from, to, bucket }) => ({
    from: new Date(Math.floor(from.getTime() / MINUTE) * MINUTE),
    to: roundedUp(to),
    bucket,
  }));

function roundedUp(time: Date): Date {
  return new Date(Math.ceil(time.getTime() / MINUTE) * MINUTE);
}

export type StatisticsQuery = z.output<typeof statisticsQuery>;

const count = z.number().int();
const meaning = z.string().describe('the reason in words');
const seconds = z.number().nullable().describe('in seconds');

export const statisticsSchema = z.object({
  from: z.date().describe('a whole minute, as is `to`: what was counted'),
  to: z.date(),
  bucket: z.enum(['minute', 'hour', 'day']),
  events: z
    .array(
      z.object({
        at: z.date().describe('start of the bucket'),
        channel: z.string(),
        status: z.string(),
        errorCode: z.string().nullable(),
        count,
      }),
    )
    .describe('events that were stored, by bucket'),
  funnel: z
    .object({
      policyFailures: count.describe('WhatsApp messages for which an SMS was claimed'),
      smsSent: count,
      smsDelivered: count,
      open: count,
      skipped: z.array(z.object({ reason: z.string(), meaning, count })),
      failed: z.array(z.object({ reason: z.string(), meaning, errorCode: z.string().nullable(), count })),
    })
    .describe('the outcomes of the policy failures in that time'),
  course: z
    .array(
      z.object({
        at: z.date().describe('start of the bucket'),
        policyFailures: count,
        smsSent: count,
        smsDelivered: count,
        skipped: count,
        failed: count,
      }),
    )
    .describe('the funnel, by bucket'),
  timeToSms: z
    .object({ p50: seconds, p95: seconds, longest: seconds })
    .describe('from the callback to the acceptance of its SMS, of the newest 200 of that time'),
});

export type Statistics = z.output<typeof statisticsSchema>;

/** The number of fallbacks in a bucket with the same outcome. */
export interface OutcomeRow {
  readonly at: Date;
  readonly state: SmsFallbackState;
  readonly reason: string | null;
  readonly errorCode: string | null;
  readonly count: number;
  readonly delivered: number;
}

export function funnelOf(rows: readonly OutcomeRow[]): Statistics['funnel'] {
  const skipped = new Map<string, Statistics['funnel']['skipped'][number]>();
  const failed = new Map<string, Statistics['funnel']['failed'][number]>();
  for (const { state, reason, errorCode, count } of rows) {
    if (reason === null) continue;
    // The meaning covers all fallbacks with this reason; the code stands next to it.
    const meaning = fallbackInWords({ state, reason, lastErrorCode: null });
    if (state === 'skipped') add(skipped, reason, { reason, meaning, count });
    if (state === 'failed')
      add(failed, `${reason} ${errorCode ?? ''}`, { reason, meaning, errorCode, count });
  }
  return {
    ...totals(rows),
    open: sum(rows.filter(({ state }) => isOpen(state))),
    skipped: mostFirst(skipped),
    failed: mostFirst(failed),
  };
}

export function courseOf(rows: readonly OutcomeRow[]): Statistics['course'] {
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

/**
 * The maximum number of rows in an answer. 336 hours have that many with 60 combinations of channel, status and code.
 */
const MAXIMUM_ROWS = 20_000;

/** Runs the SQL of `GET /stats`. It reads events from their counts, except for the latest, which are not counted yet. */
@Injectable()
export class StatisticsStore {
  constructor(@InjectDatabase() private readonly dataSource: DataSource) {}

  async find(query: StatisticsQuery): Promise<Statistics> {
    const { from, to } = query;
    const events = await this.countEvents(query);
    const { milliseconds } = BUCKETS[query.bucket];
    const outcomes = await this.dataSource.query<OutcomeRow[]>(OUTCOMES, [
      from,
      to,
      `${milliseconds} milliseconds`,
    ]);
    const [timeToSms] = await this.dataSource.query<Statistics['timeToSms'][]>(TIME_TO_SMS, [from, to]);
    return {
      ...query,
      events,
      funnel: funnelOf(outcomes),
      course: courseOf(outcomes),
      timeToSms: timeToSms ?? { p50: null, p95: null, longest: null },
    };
  }

  private countEvents({ from, to, bucket }: StatisticsQuery): Promise<Statistics['events']> {
    const periods = countedPeriods(from, to, bucket);
    return this.dataSource.query<Statistics['events']>(EVENTS, [
      from,
      to,
      `${BUCKETS[bucket].milliseconds} milliseconds`,
      periods.map(({ unit }) => unit),
      periods.map((period) => period.from.toISOString()),
      periods.map((period) => period.to.toISOString()),
    ]);
  }
}

/**
 * Uses the primary key of the counts. The few events that are not counted yet are in the outbox. One statement sees one
 * snapshot, so no event is missing or counted twice while the follower works.
 */
const EVENTS = `
with known as (
  select message_event_counts.begins_at as at, channel, message_status, error_code, events
    from unnest($4::text[], $5::timestamptz[], $6::timestamptz[]) as period (unit, begins_at, ends_at)
    join message_event_counts on message_event_counts.unit = period.unit
     and message_event_counts.begins_at >= period.begins_at and message_event_counts.begins_at < period.ends_at
  union all
  select created_at, left(channel, 64), message_status, coalesce(error_code, ''), 1
    from message_event_outbox join message_events using (id)
   where not counted and created_at >= $1 and created_at < $2
)
select date_bin($3::interval, at, timestamptz '2000-01-01 00:00Z') as at, channel, message_status as status,
       nullif(error_code, '') as "errorCode", sum(events)::int as count
  from known
 group by 1, 2, 3, 4 order by 1, 2, 3, 4 limit ${MAXIMUM_ROWS}`;

/**
 * An index-only scan of sms_fallbacks_created_at_idx. It groups bucket by bucket, which has few outcomes, to avoid a
 * sort: the planner estimates as many buckets in all as there are fallbacks.
 */
const OUTCOMES = `
select bucket.at, outcome.*
  from generate_series(
    date_bin($3::interval, $1, timestamptz '2000-01-01 00:00Z'), $2::timestamptz - interval '1 microsecond', $3::interval
  ) as bucket (at)
 cross join lateral (
   select state, reason, case state when 'failed' then last_error_code end as "errorCode", count(*)::int as count,
          (count(*) filter (where state = 'sent' and sms_delivered_at is not null))::int as delivered
     from sms_fallbacks
    where created_at >= greatest(bucket.at, $1) and created_at < least(bucket.at + $3::interval, $2)
    group by 1, 2, 3
 ) as outcome
 order by 1, 2, 3, 4 limit ${MAXIMUM_ROWS}`;

/** The newest ones are representative, and each may cost a page read of message_events from disk. */
const TIMED_SMS = 200;

/**
 * Leaves out fallbacks that an operator retried, whose time is not the service's. If the callback's event is deleted,
 * time runs from the claim, a moment later.
 */
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

@OperatorsApi('stats', 'Statistics')
export class StatisticsController {
  constructor(private readonly statistics: StatisticsStore) {}

  @Get()
  @ApiOperation({ summary: 'Count the events and fallbacks in a time range, with their outcomes' })
  @ApiOkResponse({ standardSchema: statisticsSchema })
  find(@Query({ schema: statisticsQuery }) query: StatisticsQuery) {
    return this.statistics.find(query);
  }
}
