import { createHash } from 'node:crypto';
import type { BenchDatabase } from './bench-database.js';

/** Rows in one statement. */
const BATCH = 500_000;

interface Definition {
  readonly name: string;
  readonly sql: string;
}

/**
 * Fills `message_events` with messages of the last two weeks, three statuses of each, one message in twenty a failure,
 * with payloads as long as real ones; and the derived counts and fallbacks. Creating the indexes afterwards takes a
 * fraction of the time.
 */
export async function fillTable(
  database: BenchDatabase,
  rows: number,
  say: (text: string) => void,
  interrupted: AbortSignal,
): Promise<void> {
  const constraints = await database.query<Definition>(UNIQUE_CONSTRAINTS);
  const indexes = await database.query<Definition>(INDEXES);
  for (const { name } of constraints)
    await database.query(`alter table message_events drop constraint ${name}`);
  for (const { name } of indexes) await database.query(`drop index ${name}`);
  for (let first = 0; first < rows; first += BATCH) {
    interrupted.throwIfAborted();
    const last = Math.min(first + BATCH, rows) - 1;
    await database.query(FILL, [first, last, rows]);
    say(`${last + 1} of ${rows} rows`);
  }
  say('making the indexes');
  for (const { name, sql } of constraints) {
    await database.query(`alter table message_events add constraint ${name} ${sql}`);
  }
  for (const { sql } of indexes) {
    interrupted.throwIfAborted();
    await database.query(sql);
  }
  say('counting them, and storing their fallbacks');
  for (const sql of [COUNTS, FALLBACKS]) await database.query(sql);
  const fallbacks = await database.query('select from sms_fallbacks limit 1');
  if (fallbacks.length === 0) throw new Error('There are no policy failures among the rows');
  await database.query('vacuum (analyze)');
  await database.query('checkpoint');
}

/** Returns the SID of the message in row number `index` of the table. */
export function storedMessageSidOf(index: number): string {
  return `SM${createHash('md5')
    .update(`stored ${Math.floor(index / 3)}`)
    .digest('hex')}`;
}

/** Returns the number that this message went to. */
export function storedNumberOf(index: number): string {
  return `+1777${String(Math.floor(index / 3) % 10_000_000).padStart(7, '0')}`;
}

/** The rows are not in the outbox: the service has long followed those of a table that grew naturally. */
const COUNTS = `
insert into message_event_counts (unit, begins_at, channel, message_status, error_code, events)
select unit, date_trunc(unit, created_at, 'UTC'), channel, message_status, coalesce(error_code, ''), count(*)
  from message_events cross join unnest(array['minute', 'hour', 'day']) as unit
 group by 1, 2, 3, 4, 5`;

/**
 * Adds a fallback for each policy failure; of twenty, one was skipped and one failed. One SMS in ten was not delivered.
 */
const FALLBACKS = `
insert into sms_fallbacks (
  original_message_sid, message_event_id, account_sid, state, reason, attempts, to_number, body, sms_message_sid, sent_at,
  sms_delivered_at, sms_undelivered_at, sms_error_code, created_at, updated_at
)
select message_sid, id, account_sid, state, case state when 'skipped' then 'no_text' when 'failed' then 'rejected_by_twilio' end,
       1, to_number, 'Your appointment is tomorrow at 10:00.', case when is_sent then 'SM' || md5('sms of ' || message_sid) end,
       case when is_sent then created_at + interval '1 second' end,
       case when is_sent and number % 10 <> 0 then created_at + interval '6 seconds' end,
       case when is_sent and number % 10 = 0 then created_at + interval '6 seconds' end,
       case when is_sent and number % 10 = 0 then '30003' end, created_at, created_at + interval '6 seconds'
  from (
    select *, row_number() over () as number from message_events where error_code = '63049' and channel = 'whatsapp'
  ) as failure
 cross join lateral (
   select case number % 20 when 1 then 'skipped' when 2 then 'failed' else 'sent' end as state
 ) as outcome
 cross join lateral (select state = 'sent' as is_sent) as sending`;

const UNIQUE_CONSTRAINTS = `
select conname as name, pg_get_constraintdef(oid) as sql from pg_constraint
 where conrelid = 'message_events'::regclass and contype in ('p', 'u')`;

const INDEXES = `
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as sql from pg_index
 where indrelid = 'message_events'::regclass
   and indexrelid not in (select conindid from pg_constraint where conrelid = 'message_events'::regclass)`;

/**
 * $1 and $2: the numbers of the first and the last row; $3: the number of all rows. Keys are like those of the service.
 */
const FILL = `
insert into message_events (
  id, message_sid, message_status, channel, to_number, from_number, error_code, error_message, account_sid, payload,
  created_at
)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(digest, 1, 3)
         || '8' || substr(digest, 4, 15))::uuid,
       sid, status, channel, number, '+14155238886', code, null, account,
       jsonb_build_object(
         'AccountSid', account, 'ApiVersion', '2010-04-01', 'From', 'whatsapp:+14155238886', 'MessageSid', sid,
         'MessageStatus', status, 'SmsSid', sid, 'SmsStatus', status, 'To', channel || ':' || number,
         'ChannelPrefix', channel, 'ChannelToAddress', number, 'StructuredMessage', 'false', 'EventType', upper(status),
         'ChannelInstallSid', 'XE' || digest, 'MessagingServiceSid', 'MG' || digest, 'ErrorCode', code
       ),
       at
  from generate_series($1::bigint, $2::bigint) as row
 cross join lateral (
   select 'SM' || md5('stored ' || row / 3) as sid, md5(row::text) as digest,
          case when row / 3 % 4 = 0 then 'sms' else 'whatsapp' end as channel,
          '+1777' || lpad((row / 3 % 10000000)::text, 7, '0') as number,
          'ACb0000000000000000000000000000001' as account,
          now() - interval '14 days' * (1 - row::float8 / $3::bigint) as at,
          case row % 3 when 0 then 'sent' when 1 then 'delivered'
            else case when row / 3 % 20 = 7 then 'failed' else 'read' end end as status
 ) as message
 cross join lateral (
   select case when status <> 'failed' then null when row / 60 % 2 = 0 then '63049' else '63024' end as code
 ) as failure`;
