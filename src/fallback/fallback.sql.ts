import { IS_ENDED, IS_OPEN } from './sms-fallback-state.js';

/**
 * The statements that write `sms_fallbacks`. FallbackStore runs them; `retention` runs those that erase.
 */

/** SQL: the failed attempts of a row of `sms_fallbacks` and its last one. */
export function withAttempt(outcome: string, code: string): string {
  return `earlier_attempts || jsonb_build_array(jsonb_build_object(
    'at', coalesce(attempt_started_at, now()), 'from', from_number, 'messagingServiceSid', messaging_service_sid,
    'outcome', ${outcome}, 'code', ${code}, 'smsMessageSid', sms_message_sid
  ))`;
}

/** SQL: whether an SMS is one of the fallback's that are known to have failed. */
export function isOfEarlierAttempt(smsMessageSid: string): string {
  return `earlier_attempts @> jsonb_build_array(jsonb_build_object('smsMessageSid', ${smsMessageSid}))`;
}

/**
 * Polled policy failures carry no callback URL; earlier callbacks do. A fallback claimed after one of those has its
 * URL, so one of the last few rows has it, or none has.
 */
const LAST_CALLBACK_URL = `
  select status_callback_url
    from (select status_callback_url, created_at, id from sms_fallbacks order by created_at desc, id desc limit 100) as latest
   where status_callback_url is not null
   order by created_at desc, id desc limit 1`;

/** $1 to $8: the columns of the claim; $9: how long its first attempt waits, in milliseconds. */
export const CLAIM = `
with claimed as (
  insert into sms_fallbacks (
    id, original_message_sid, message_event_id, account_sid, to_number, user_id, parent_user_id, status_callback_url,
    next_attempt_at, reason, due_since
  )
  values (
    $1, $2, $3, $4, $5, $6, $7, coalesce($8, (${LAST_CALLBACK_URL})),
    -- A job's time has no microseconds, and must not be earlier.
    date_trunc('milliseconds', now()) + $9 * interval '1 millisecond', case when $9 > 0 then 'held' end,
    case when $9 > 0 then now() + $9 * interval '1 millisecond' end
  )
  on conflict (original_message_sid) do nothing
  returning id, next_attempt_at
)
select id, next_attempt_at as "nextAttemptAt" from claimed`;

/** $2: how long the lock lasts, in seconds. */
export const LOCK = `
with locked as (
  update sms_fallbacks set locked_until = now() + $2 * interval '1 second', updated_at = now()
   where id = $1 and ${IS_OPEN}
     and next_attempt_at <= now() and (locked_until is null or locked_until <= now())
  returning locked_until::text as lock
)
select lock, now() as now from locked`;

export const NEXT_LOOK = `
select greatest(locked_until, next_attempt_at) as at from sms_fallbacks
  where id = $1 and ${IS_OPEN} and locked_until is not null`;

/** The end of a step: it ends or waits. */
export const CHANGE = `
with changed as (
  update sms_fallbacks
     set state = $3, reason = $4, unanswered_attempts = $5::integer,
         unanswered_since = case when $5::integer > 0 then unanswered_since end,
         last_error_code = coalesce($6, last_error_code), last_error = coalesce($7, last_error),
         next_attempt_at = $8, locked_until = null, updated_at = now(),
         original_sent_at = coalesce($9, original_sent_at), duplicate_of = coalesce($10, duplicate_of),
         earlier_attempts = case when $11::text is null then earlier_attempts
                                 else ${withAttempt('$11::text', '$6::text')} end
   where id = $1 and locked_until = $2::timestamptz
  returning id
)
select id from changed`;

/** Part of the statement that commits the intent, so that nothing happens between the check and the POST. */
const beginStatement = (duplicate: string) => `
with log as (
  select exists (
           select from message_events where message_sid = $13 and message_status = any ($14::text[])
         ) as is_delivered,
         (
           select message_sid from message_events
            where sms_fallback_id = $1 and message_status = any ($14::text[])
              and not exists (
                select from sms_fallbacks as other
                 where other.sms_message_sid = message_events.message_sid and other.id <> $1
              )
            order by created_at limit 1
         ) as sms_message_sid,
         (${duplicate}) as duplicate_of
),
begun as (
  update sms_fallbacks
     set state = 'sending', reason = null, attempts = attempts + 1,
         unanswered_attempts = unanswered_attempts + 1, unanswered_since = coalesce(unanswered_since, now()),
         attempt_started_at = now(), updated_at = now(),
         to_number = $3, from_number = $4, messaging_service_sid = $5, body = $6, truncated = $7,
         encoding = $9, segments = $10, not_carried_over = coalesce($11, '{}'::text[]), original_sent_at = $12
    from log
   where id = $1 and locked_until = $2::timestamptz and locked_until > now() + $8 * interval '1 second'
     and not is_delivered and log.sms_message_sid is null and log.duplicate_of is null
  returning id
)
select exists (select from begun) as "isBegun", is_delivered as "isDelivered", sms_message_sid as "smsMessageSid",
       duplicate_of as "duplicateOf"
  from log`;

export const BEGIN = beginStatement('null::uuid');

/** An SMS that may be on its way counts, one that failed does not. */
export const BEGIN_WITHOUT_DUPLICATE = beginStatement(`
  select id from sms_fallbacks
   where to_number = $3 and body = $6 and account_sid = $15 and id <> $1 and state in ('sending', 'uncertain', 'sent')
     and attempt_started_at > now() - $16 * interval '1 millisecond'
   order by attempt_started_at limit 1`);

/** $1: the fallback; $2: the SID of its SMS. An SMS that Twilio has accepted is a fact, so the lock is not required. */
export const RECORD_SENT = `
with ended as (
  update sms_fallbacks
     set state = 'sent', reason = null, sms_message_sid = $2, sent_at = now(), updated_at = now(),
         unanswered_attempts = 0, unanswered_since = null, locked_until = null,
         earlier_attempts = (
           select coalesce(jsonb_agg(attempt), '[]') from jsonb_array_elements(earlier_attempts) as attempt
            where attempt->>'smsMessageSid' is distinct from $2
         ),
         -- If the answer was lost, its end may have been reported long before the SMS has a fallback.
         sms_delivered_at = (
           select min(created_at) from message_events
            where message_sid = $2 and message_status in ('delivered', 'read')
         ),
         (sms_undelivered_at, sms_error_code) = (
           select created_at, error_code from message_events
            where message_sid = $2 and message_status in ('failed', 'undelivered')
            order by created_at limit 1
         )
   where id = $1 and (${IS_OPEN} or state = 'failed')
     -- An SMS that is known to have failed counts only if it was delivered after all.
     and (not ${isOfEarlierAttempt('$2::text')} or exists (
       select from message_events where message_sid = $2 and message_status in ('delivered', 'read')
     ))
  returning message_event_id, retried_at, sms_error_code, sms_delivered_at
)
select (
    select extract(epoch from now() - created_at)::float8 from message_events
     where id = message_event_id and retried_at is null
  ) as seconds,
       sms_error_code as "smsErrorCode", sms_delivered_at is not null as "isDelivered"
  from ended`;

/** The SMS may have been delivered after all: a message of several segments can report both. */
export const FIND_NEVER_SENT = `
select report.error_code as code, now() as now
  from sms_fallbacks
 cross join lateral (
   select error_code from message_events
    where message_sid = $2 and message_status in ('failed', 'undelivered') and error_code = any ($3::text[]) limit 1
 ) as report
 where id = $1 and state = 'sent' and sms_message_sid = $2
   and not exists (select from message_events where message_sid = $2 and message_status = any ($4::text[]))`;

export const REOPEN_NEVER_SENT = `
update sms_fallbacks
   set state = $2, reason = $3, last_error_code = $4, last_error = 'Twilio accepted the SMS and never sent it',
       earlier_attempts = ${withAttempt("'never_sent'", '$4::text')},
       sms_message_sid = null, message_id = null, sent_at = null,
       sms_delivered_at = null, sms_undelivered_at = null, sms_error_code = null,
       unanswered_attempts = 0, unanswered_since = null, locked_until = null, next_attempt_at = $5, due_since = $5,
       updated_at = now()
 where id = $1`;

export const NOTE_SECOND_SMS = `
with told as (
  update sms_fallbacks set last_error = $3, updated_at = now()
   where id = $1 and sms_message_sid <> $2 and not ${isOfEarlierAttempt('$2::text')}
  returning id
)
select id from told`;

/** Covers three days, as long as a job would be retried. */
export const WITHOUT_MESSAGE = `
select id from sms_fallbacks
 where created_at > now() - interval '3 days' and state = 'sent' and message_id is null and erased_at is null
   and starts_with(last_error, $1)
 order by random() limit $2`;

export const NOTE_NOT_ADDED = 'update sms_fallbacks set last_error = $2 where id = $1';

export const NOTE_ADDED = `
update sms_fallbacks
   set message_id = $2, last_error = case when not starts_with(last_error, $3) then last_error end
 where id = $1`;

/**
 * The outcome is read from the log as a whole, so the order of its events does not matter; what was recorded from events
 * that are deleted by now stays. Rows are locked in the order of their keys, so that two replicas cannot block each
 * other.
 */
export const RECORD_OUTCOMES = `
with fallback as materialized (
  select id, sms_message_sid, sms_delivered_at, sms_undelivered_at, sms_error_code from sms_fallbacks
   where sms_message_sid = any ($1) order by id for update
),
outcome as (
  select fallback.id, coalesce(delivered.at, sms_delivered_at) as delivered_at,
         coalesce(undelivered.at, sms_undelivered_at) as undelivered_at,
         case when undelivered.at is null then sms_error_code else undelivered.error_code end as error_code
    from fallback
   cross join lateral (
     select min(created_at) as at from message_events
      where message_sid = sms_message_sid and message_status = any ($2)
   ) as delivered
    left join lateral (
      select created_at as at, error_code from message_events
       where message_sid = sms_message_sid and message_status in ('failed', 'undelivered')
       order by created_at limit 1
    ) as undelivered on true
)
update sms_fallbacks
   set sms_delivered_at = delivered_at, sms_undelivered_at = undelivered_at, sms_error_code = outcome.error_code
  from outcome
 where sms_fallbacks.id = outcome.id
   and (sms_delivered_at, sms_undelivered_at, sms_error_code) is distinct from
       (delivered_at, undelivered_at, outcome.error_code)`;

/** A fallback in `sending` or `uncertain` may have been sent: its delivery can arrive before that is recorded. */
export const RECORD_DUPLICATE_DELIVERIES = `
with fallback as materialized (
  select id, original_message_sid from sms_fallbacks
   where original_message_sid = any ($1) and duplicate_delivery_at is null
     and state in ('sending', 'uncertain', 'sent')
   order by id for update
),
delivered as (
  select fallback.id, min(created_at) as at
    from fallback join message_events on message_sid = original_message_sid
   where message_status = any ($2)
   group by fallback.id
),
recorded as (
  update sms_fallbacks set duplicate_delivery_at = delivered.at, updated_at = now()
    from delivered where sms_fallbacks.id = delivered.id
  returning sms_fallbacks.id, original_message_sid, duplicate_delivery_at
)
select id as "smsFallbackId", original_message_sid as "originalMessageSid",
       duplicate_delivery_at as "duplicateDeliveryAt"
  from recorded`;

/** @param stalled selects at most $1 ids and locks them. */
const takeUp = (stalled: string) => `
with stalled as (${stalled}),
taken_up as (
  update sms_fallbacks
     set state = case state when 'failed' then 'uncertain' else state end, next_attempt_at = now(), updated_at = now()
    from stalled where sms_fallbacks.id = stalled.id
  returning sms_fallbacks.id
)
select id from taken_up`;

/**
 * A job that failed a few times waits a few minutes; a fallback counts as stalled only after that. The gaps grow with
 * its age, so that a fallback that always fails does not fill the queue.
 */
export const TAKE_UP_OPEN = takeUp(`
  select id from sms_fallbacks
   where ${IS_OPEN}
     and next_attempt_at < now() - interval '10 minutes'
     and next_attempt_at < now() - least((now() - coalesce(retried_at, created_at)) / 4, interval '1 hour')
     and (locked_until is null or locked_until < now())
   order by next_attempt_at limit $1
     for update skip locked`);

/** The callback of an SMS that another fallback has taken proves nothing; an erased one no longer has a text. */
export const TAKE_UP_REPORTED = takeUp(`
  select id from sms_fallbacks
   where state = 'failed' and reason = 'no_answer_from_twilio' and updated_at > now() - interval '2 days'
     and erased_at is null
     and exists (
       select from message_events as reported
        where reported.sms_fallback_id = sms_fallbacks.id and not ${isOfEarlierAttempt('message_sid')}
          and not exists (select from sms_fallbacks as other where other.sms_message_sid = reported.message_sid)
     )
   order by updated_at limit $1
     for update skip locked`);

/** The follower records the failure of an SMS by its SID; sms_fallbacks_undelivered_idx has those few rows. */
export const NEVER_SENT = `
select id as "smsFallbackId", sms_message_sid as "messageSid" from sms_fallbacks
 where sms_undelivered_at is not null and sms_delivered_at is null and state = 'sent'
   and sms_error_code = any ($2::text[]) and sms_undelivered_at > now() - interval '2 days'
 order by created_at desc limit $1`;

/** Locks rows in the order of their ids, so that two concurrent retries cannot deadlock. */
export const LOCK_CANDIDATES = `
select id, original_message_sid as "originalMessageSid", sms_message_sid as "smsMessageSid", state, reason, attempts,
       last_error_code as "lastErrorCode",
       coalesce(locked_until > now(), false) as "isLocked", erased_at is not null as "isErased",
       exists (
         select from message_events where sms_fallback_id = sms_fallbacks.id and not ${isOfEarlierAttempt('message_sid')}
       ) as "isReported",
       coalesce(original_sent_at < now() - $2 * interval '1 millisecond', false) as "isTooLate",
       exists (
         select from message_events
          where message_sid = original_message_sid and message_status in ('delivered', 'read')
       ) as "isDelivered"
  from sms_fallbacks
 where id = any($1::uuid[])
 order by id
   for update`;

export const REOPEN = `
update sms_fallbacks
    set state = $2, reason = null, retried_at = now(), retried_by = $4, age_limit_ignored = $3,
        unanswered_attempts = case $2 when 'uncertain' then 1 else 0 end,
        unanswered_since = case $2 when 'uncertain' then coalesce(unanswered_since, created_at) end,
        next_attempt_at = now(), locked_until = null, updated_at = now()
  where id = any($1::uuid[]) and state in ('failed', 'skipped')`;

export const MAKE_DUE = `
update sms_fallbacks
    set next_attempt_at = now(), updated_at = now(), retried_by = $3, age_limit_ignored = age_limit_ignored or $2
  where id = any($1::uuid[]) and ${IS_OPEN}`;

/**
 * SQL that erases the number, the text, and Twilio's messages from fallbacks. It keeps the rows, because they prevent a
 * second SMS and are counted.
 * @param found selects and locks the ids of ended fallbacks: an open one needs its number and text.
 */
export const eraseFallbacks = (found: string) => `
with found as (${found}),
erased as (
  update sms_fallbacks set to_number = null, user_id = null, parent_user_id = null, body = null, last_error = null,
         erased_at = now()
    from found where sms_fallbacks.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;

/** Uses sms_fallbacks_not_erased_idx. Also checks updated_at: a fallback that was retried ended later. */
export const ERASE_OLD = eraseFallbacks(`
  select id from sms_fallbacks
   where erased_at is null and ${IS_ENDED}
     and created_at < now() - $1 * interval '1 day' and updated_at < now() - $1 * interval '1 day'
   order by created_at limit $2
     for update skip locked`);
