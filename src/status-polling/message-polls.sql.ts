/**
 * Only one replica at a time moves a watermark; the others find it locked and continue. A message whose status has
 * moved on starts again with the shortest gap, but is left alone for the 30 seconds that a replica may be asking about
 * it.
 * @param candidates the rows after the watermark, oldest first. `is_waiting` says whether to ask about the message, and
 * `is_unlinked` whether an event of it is not tied to its row in `messages`. $1 and $2: their minimum and maximum age
 * in milliseconds; $3: how many; $4: the final statuses.
 */
const enrol = (source: string, candidates: string) => `
with watermark as (
  select created_at, key from message_poll_watermarks where source = '${source}' for update skip locked
),
step as (
  select candidates.* from watermark cross join lateral (${candidates}) as candidates
),
enrolled as (
  insert into message_polls as known (message_sid, account_sid, waiting_since)
  select distinct on (message_sid) message_sid, account_sid, created_at from step
  where is_waiting and not exists (
    select from message_events as final
    where final.message_sid = step.message_sid and final.message_status = any ($4)
  )
  order by message_sid, created_at desc
  on conflict (message_sid) do update
    -- A row of messages was enrolled with an assumed account, if no event named it.
    set account_sid = excluded.account_sid, waiting_since = excluded.waiting_since, polls = 0,
        next_poll_at = least(known.next_poll_at, now() + interval '30 seconds')
    where excluded.waiting_since > known.waiting_since
),
moved as (
  update message_poll_watermarks set created_at = newest.created_at, key = newest.key
  from (select created_at, key from step order by created_at desc, key desc limit 1) as newest
  where source = '${source}'
)
select count(*)::integer as rows, coalesce(array_agg(distinct message_sid) filter (where is_unlinked), '{}') as unlinked
from step`;

export const ENROL_FROM_EVENTS = enrol(
  'message_events',
  `
  select id::text as key, created_at, message_sid, account_sid,
    channel = 'whatsapp' and message_status <> all ($4) as is_waiting,
    message_id is null and exists (
      select from messages where messages.twilio_sid = message_events.message_sid
    ) as is_unlinked
  from message_events
  where created_at >= greatest(watermark.created_at, now() - $2 * interval '1 millisecond')
    and created_at <= now() - $1 * interval '1 millisecond'
    and (created_at, id::text) > (watermark.created_at, watermark.key)
  order by created_at, id::text limit $3`,
);

/**
 * $5: the account of a message without an event. Messages with a status of failure are polled too: without an event,
 * the application knows the failure from elsewhere, and it may be a policy failure.
 */
export const ENROL_FROM_MESSAGES = enrol(
  'messages',
  `
  select coalesce(twilio_sid::text, '') as key, created_at, twilio_sid::text as message_sid,
    coalesce((select account_sid from message_events where message_sid = twilio_sid limit 1), $5) as account_sid,
    twilio_sid is not null and channel::text = 'whatsapp' and direction::text like 'outbound%'
      and (status is null or status::text not in ('delivered', 'read')) as is_waiting,
    exists (select from message_events where message_sid = twilio_sid and message_id is null) as is_unlinked
  from messages
  where created_at >= greatest(watermark.created_at, now() - $2 * interval '1 millisecond')
    and created_at <= now() - $1 * interval '1 millisecond'
    and (created_at, coalesce(twilio_sid::text, '')) > (watermark.created_at, watermark.key)
  order by created_at, coalesce(twilio_sid::text, '') limit $3`,
);

/**
 * Whether `messages` has a usable index. An application's own table needs nothing else; a timestamp without a time zone
 * does not name a point in time.
 */
export const MESSAGES_ARE_INDEXED = `
select exists (
  select from pg_index
  join pg_attribute on attrelid = indrelid and attnum = indkey[0]
  where indrelid = 'messages'::regclass and attname = 'created_at' and atttypid = 'timestamptz'::regtype
    and indisvalid and indpred is null
) as indexed`;

/**
 * $1: how many; $2: the final statuses; $3: the first gap, which doubles with each poll, and $4: when to give up, in
 * milliseconds. No gap is shorter than the time that a replica may take to ask.
 */
export const CLAIM = `
with due as (
  select message_sid, exists (
    select from message_events as final
    where final.message_sid = message_polls.message_sid and final.message_status = any ($2)
  ) as has_ended
  from message_polls where next_poll_at <= now()
  order by next_poll_at limit $1
  for update skip locked
),
forgotten as (
  delete from message_polls using due where message_polls.message_sid = due.message_sid and has_ended
),
claimed as (
  update message_polls
    set polls = polls + 1,
        next_poll_at = now() + greatest($3 * power(2, polls + 1), 30000) * interval '1 millisecond'
  from due where message_polls.message_sid = due.message_sid and not has_ended
  returning message_polls.message_sid, account_sid, next_poll_at > waiting_since + $4 * interval '1 millisecond' as is_last
)
select due.message_sid as "messageSid", account_sid as "accountSid", is_last as "isLast", not has_ended as "isClaimed"
from due left join claimed using (message_sid)`;
