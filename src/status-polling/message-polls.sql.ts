/**
 * Plans the first poll of the messages in `waiting`, whose `created_at` is that of the latest status or of the message.
 * One whose status has moved on starts again with the shortest gap, but is left alone for the 30 seconds that a replica
 * may be asking about it. $1: the gap in milliseconds; $2: the final statuses.
 */
const enrol = `
  insert into message_polls as known (message_sid, account_sid, waiting_since, next_poll_at)
  select distinct on (message_sid) message_sid, account_sid, created_at, created_at + $1 * interval '1 millisecond'
    from waiting
   where not exists (
     select from message_events as final
     where final.message_sid = waiting.message_sid and final.message_status = any ($2)
   )
   order by message_sid, created_at desc
  on conflict (message_sid) do update
    -- A row of messages was enrolled with an assumed account, if no event named it.
    set account_sid = excluded.account_sid, waiting_since = excluded.waiting_since, polls = 0,
        next_poll_at = greatest(excluded.next_poll_at, least(known.next_poll_at, now() + interval '30 seconds'))
    where excluded.waiting_since > known.waiting_since`;

/** $3 to $5: SIDs, accounts and times of new events. */
export const ENROL_FROM_EVENTS = `
with waiting as (
  select * from unnest($3::text[], $4::text[], $5::timestamptz[]) as event (message_sid, account_sid, created_at)
)
${enrol}`;

/** Forgets messages that have a final status now. A row that a replica has locked is forgotten at its next poll. */
export const FORGET_ENDED = `
delete from message_polls where message_sid = any (array(
  select message_sid from message_polls where message_sid = any ($1) for update skip locked
))`;

/**
 * Enrols rows of `messages`, which may have no event at all. Only one replica at a time moves the watermark; the others
 * find it locked and continue. A row whose status is behind that of its events was added after the last of them, so it
 * is to be followed again.
 *
 * $3: the maximum age in milliseconds; $4: how many rows; $5: the account of a message without an event; $6: statuses by
 * rank. Messages with a status of failure are polled too: without an event, the application knows the failure from
 * elsewhere, and it may be a policy failure.
 */
export const ENROL_FROM_MESSAGES = `
with watermark as (
  select created_at, key from message_poll_watermarks where source = 'messages' for update skip locked
),
step as (
  select candidates.* from watermark cross join lateral (
    select coalesce(twilio_sid::text, '') as key, created_at, twilio_sid::text as message_sid,
           channel::text as channel, direction::text as direction, status::text as status
      from messages
     where created_at >= greatest(watermark.created_at, now() - $3 * interval '1 millisecond')
       and created_at <= now() - $1 * interval '1 millisecond'
       and (created_at, coalesce(twilio_sid::text, '')) > (watermark.created_at, watermark.key)
     order by created_at, coalesce(twilio_sid::text, '') limit $4
  ) as candidates
),
waiting as (
  select message_sid, created_at,
         coalesce((select account_sid from message_events where message_sid = step.message_sid limit 1), $5) as account_sid
    from step
   where message_sid is not null and channel = 'whatsapp' and direction like 'outbound%'
     and (status is null or status not in ('delivered', 'read'))
),
enrolled as (${enrol}),
moved as (
  update message_poll_watermarks set created_at = newest.created_at, key = newest.key
  from (select created_at, key from step order by created_at desc, key desc limit 1) as newest
  where source = 'messages'
)
select count(*)::integer as rows, coalesce(array_agg(distinct message_sid) filter (where exists (
    select from message_events
     where message_events.message_sid = step.message_sid
       and array_position($6::text[], message_status) > coalesce(array_position($6, status), 0)
  )), '{}') as behind
  from step`;

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
  select message_sid, waiting_since < now() - $4 * interval '1 millisecond' or exists (
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
