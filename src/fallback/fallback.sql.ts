import { addJobs } from '../domain-events/domain-events.js';
import { followAgain } from '../message-events/message-events.store.js';
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
 * SQL: the events of a message, or those that name a fallback. `offset 0` makes PostgreSQL use their index for each
 * message. Otherwise it may search the index of `created_at` for the first match, or read the whole table, if it expects
 * many messages.
 */
function eventsWhere(condition: string): string {
  return `(select message_sid, message_status, error_code, created_at from message_events where ${condition} offset 0) as event`;
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

/**
 * Claims original messages. $1: an array of objects with these columns; $2: how long the first attempt waits, in
 * milliseconds; $3: how long the caller's lock lasts, in seconds; null for no lock.
 */
export const CLAIM = `
with claimed as (
  insert into sms_fallbacks (
    id, original_message_sid, message_event_id, account_sid, to_number, user_id, parent_user_id, status_callback_url,
    next_attempt_at, reason, due_since, locked_until
  )
  select id, original_message_sid, message_event_id, account_sid, to_number, user_id, parent_user_id,
         coalesce(status_callback_url, (${LAST_CALLBACK_URL})),
         -- A job's time has no microseconds, and must not be earlier.
         date_trunc('milliseconds', now()) + $2 * interval '1 millisecond', case when $2 > 0 then 'held' end,
         case when $2 > 0 then now() + $2 * interval '1 millisecond' end, now() + $3 * interval '1 second'
    from jsonb_to_recordset($1::jsonb) as claim (
      id uuid, original_message_sid text, message_event_id uuid, account_sid text, to_number text, user_id text,
      parent_user_id text, status_callback_url text
    )
   order by original_message_sid
  on conflict (original_message_sid) do nothing
  returning *
)
select *, locked_until::text as lock, now() as database_now from claimed`;

/** Locks fallbacks that are due. $1: their ids; $2: how long the lock lasts, in seconds. */
export const LOCK = `
with due as materialized (
  select id from sms_fallbacks where id = any ($1::uuid[]) order by id for no key update
),
locked as (
  update sms_fallbacks set locked_until = now() + $2 * interval '1 second', updated_at = now()
    from due
   where sms_fallbacks.id = due.id and ${IS_OPEN}
     and next_attempt_at <= now() and (locked_until is null or locked_until <= now())
  returning sms_fallbacks.*
)
select *, locked_until::text as lock, now() as database_now from locked`;

export const NEXT_LOOK = `
select greatest(locked_until, next_attempt_at) as at from sms_fallbacks
  where id = $1 and ${IS_OPEN} and locked_until is not null`;

/** What a fallback has while it waits for its sender's pace, or may send by it. */
const WITHOUT_TURN = 'paced_by = null, send_before = null, admitted_by = null';

/**
 * Whether the database may have forgotten an SMS: the failure became known late, or the server was started or promoted
 * since. A standby that was promoted without the last transactions of its primary has lost what those recorded; the last
 * one that it has tells when. $1: events of the failures; $2: when they become late.
 */
export const MAY_BE_FORGOTTEN = `
select position::int - 1 as position,
       coalesce(
         created_at >= late_at
           or created_at <= greatest(pg_postmaster_start_time(), pg_last_xact_replay_timestamp()),
         true
       ) as "mayBe"
  from unnest($1::uuid[], $2::timestamptz[]) with ordinality as failure (event_id, late_at, position)
  left join message_events on message_events.id = event_id`;

/**
 * The ends of steps: each ends its fallback or lets it wait. $1: an array of objects with these columns; `paced_by`: the
 * sender in whose line it waits, if it does; `send_before`: its deadline there; `job`: its next look, which is due at
 * `next_attempt_at`.
 */
export const CHANGE = `
with change as materialized (
  select * from jsonb_to_recordset($1::jsonb) as change (
    position integer, id uuid, lock timestamptz, state text, reason text, unanswered_attempts integer, error_code text,
    error text, next_attempt_at timestamptz, original_sent_at timestamptz, duplicate_of uuid, failed_attempt text,
    paced_by text, send_before timestamptz, job json
  )
),
own as materialized (
  select id from sms_fallbacks where id = any (array(select id from change)) order by id for no key update
),
changed as (
  update sms_fallbacks
     set paced_by = change.paced_by, send_before = change.send_before, admitted_by = null, state = change.state,
         reason = change.reason, unanswered_attempts = change.unanswered_attempts,
         unanswered_since = case when change.unanswered_attempts > 0 then unanswered_since end,
         last_error_code = coalesce(error_code, last_error_code), last_error = coalesce(error, last_error),
         next_attempt_at = change.next_attempt_at, locked_until = null, updated_at = now(),
         due_since = case when change.reason = 'deferred' then change.next_attempt_at else due_since end,
         original_sent_at = coalesce(change.original_sent_at, sms_fallbacks.original_sent_at),
         duplicate_of = coalesce(change.duplicate_of, sms_fallbacks.duplicate_of),
         earlier_attempts = case when failed_attempt is null then earlier_attempts
                                 else ${withAttempt('failed_attempt', 'error_code')} end
    from change join own using (id)
   where sms_fallbacks.id = own.id and locked_until = change.lock
  returning change.position, change.job, change.next_attempt_at as run_at
),
published as materialized (select job, run_at from changed where job is not null)
select position, case when exists (select from published) then (${addJobs('select job, run_at from published', 'run_at')}) end as jobs
  from changed`;

/**
 * Commits intents to send. The log is read in the same statement, so that nothing happens between the check and the
 * POST. Rows are locked in the order of their ids, like those of the follower. $1: an array of objects with these
 * columns; $2: the remaining lock time that is required, in seconds; $3: the statuses of a delivery.
 */
const beginStatement = (duplicate: string) => `
with sms as materialized (
  select * from jsonb_to_recordset($1::jsonb) as sms (
    position integer, id uuid, lock timestamptz, original_message_sid text, account_sid text, to_number text, conversation_id text,
    from_number text, messaging_service_sid text, body text, truncated boolean, encoding text, segments integer,
    not_carried_over text[], original_sent_at timestamptz
  )
),
own as materialized (
  select id from sms_fallbacks where id = any (array(select id from sms)) order by id for no key update
),
log as materialized (
  select sms.*,
         exists (
           select from ${eventsWhere('message_sid = sms.original_message_sid')}
            where message_status = any ($3::text[])
         ) as is_delivered,
         (
           select message_sid from ${eventsWhere('sms_fallback_id = sms.id')}
            where message_status = any ($3::text[])
              and not exists (
                select from sms_fallbacks as other
                 where other.sms_message_sid = event.message_sid and other.id <> sms.id
              )
            order by created_at limit 1
         ) as sms_message_sid,
         (${duplicate}) as duplicate_of
    from sms join own on own.id = sms.id
),
begun as (
  update sms_fallbacks
     set state = 'sending', reason = null, ${WITHOUT_TURN}, attempts = attempts + 1,
         unanswered_attempts = unanswered_attempts + 1, unanswered_since = coalesce(unanswered_since, now()),
         attempt_started_at = now(), updated_at = now(),
         to_number = log.to_number, conversation_id = log.conversation_id, from_number = log.from_number,
         messaging_service_sid = log.messaging_service_sid, body = log.body, truncated = log.truncated,
         encoding = log.encoding, segments = log.segments,
         not_carried_over = coalesce(log.not_carried_over, '{}'::text[]), original_sent_at = log.original_sent_at
    from log
   where sms_fallbacks.id = log.id and locked_until = log.lock and locked_until > now() + $2 * interval '1 second'
     and not is_delivered and log.sms_message_sid is null and log.duplicate_of is null
  returning log.position
)
select position, position in (select position from begun) as "isBegun", is_delivered as "isDelivered",
       sms_message_sid as "smsMessageSid", duplicate_of as "duplicateOf"
  from log`;

export const BEGIN = beginStatement('null::uuid');

/** $4: in milliseconds. An SMS that may be on its way counts, one that failed does not. */
export const BEGIN_WITHOUT_DUPLICATE = beginStatement(`
  select id from sms_fallbacks as other
   where other.to_number = sms.to_number and other.body = sms.body and other.account_sid = sms.account_sid
     and other.id <> sms.id and state in ('sending', 'uncertain', 'sent')
     and attempt_started_at > now() - $4 * interval '1 millisecond'
   order by attempt_started_at limit 1`);

/** It is a statement of its own, so that the next one sees the SMS that was recorded until then. */
export const LOCK_ROW = 'select from sms_fallbacks where id = $1 for update';

/**
 * $1: fallbacks; $2: the SIDs of their SMS; $3: their texts; $4: their conversations; $5: the statuses of a delivery;
 * $6: jobs to add, or null. An SMS that Twilio has accepted is a fact, so the lock is not required. What was followed
 * before this commit is followed again: callbacks of the SMS, a delivery of the original, and an original that was
 * stored late. That also finds the report of an SMS that was never sent if it is committed during this statement.
 */
export const RECORD_SENT = `
with own as materialized (
  select id from sms_fallbacks where id = any ($1::uuid[]) order by id for update
),
ended as (
  update sms_fallbacks
     set state = 'sent', reason = null, sms_message_sid = sms.sid, sent_at = now(), updated_at = now(),
         unanswered_attempts = 0, unanswered_since = null, locked_until = null, ${WITHOUT_TURN},
         -- Without an intent, they are not known yet: the SMS of a lost database was found at Twilio.
         body = case when erased_at is null then coalesce(body, sms.text) end,
         conversation_id = coalesce(conversation_id, sms.conversation),
         earlier_attempts = (
           select coalesce(jsonb_agg(attempt), '[]') from jsonb_array_elements(earlier_attempts) as attempt
            where attempt->>'smsMessageSid' is distinct from sms.sid
         ),
         -- If the answer was lost, its end may have been reported long before the SMS has a fallback.
         sms_delivered_at = (
           select min(created_at) from ${eventsWhere('message_sid = sms.sid')}
            where message_status in ('delivered', 'read')
         ),
         (sms_undelivered_at, sms_error_code) = (
           select created_at, error_code from ${eventsWhere('message_sid = sms.sid')}
            where message_status in ('failed', 'undelivered')
            order by created_at limit 1
         )
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as sms (fallback_id, sid, text, conversation)
    join own on own.id = sms.fallback_id
   where sms_fallbacks.id = own.id and (${IS_OPEN} or state = 'failed')
     -- An SMS that is known to have failed counts only if it was delivered after all.
     and (not ${isOfEarlierAttempt('sms.sid')} or exists (
       select from ${eventsWhere('message_sid = sms.sid')} where message_status in ('delivered', 'read')
     ))
  returning sms_fallbacks.id, sms_message_sid, original_message_sid, message_event_id, retried_at, sms_error_code,
            sms_delivered_at, coalesce(attempt_started_at > created_at + interval '0.5 seconds', true) as has_waited
),
published as materialized (
  select job from unnest($1::uuid[], $2::text[], $6::json[]) as sms (fallback_id, sid, job)
    join ended on ended.id = fallback_id and sms_message_sid = sid
   where job is not null
),
again as (
  ${followAgain(`
    select sms_message_sid as sid from ended
     union all
    select original_message_sid from ended
     where has_waited or exists (
       select from ${eventsWhere('message_sid = original_message_sid')} where message_status = any ($5::text[])
     )`)}
)
select id, sms_message_sid as "smsMessageSid", (
    select extract(epoch from now() - created_at)::float8 from message_events
     where message_events.id = message_event_id and retried_at is null
  ) as seconds,
       sms_error_code as "smsErrorCode", sms_delivered_at is not null as "isDelivered",
       case when exists (select from published) then (${addJobs('select job from published')}) end as jobs
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

/** $1: SIDs. Sent SMS that have no row in `messages`; an erased one no longer has a text. */
export const UNRECORDED_SMS = `
select id, message_event_id as "eventId", sms_message_sid as "messageSid", conversation_id as "conversationId", body
  from sms_fallbacks
 where sms_message_sid = any ($1) and state = 'sent' and message_id is null and body is not null
 order by id for update`;

export const NOTE_NOT_ADDED = `
update sms_fallbacks set last_error = note
  from unnest($1::text[], $2::text[]) as sms (sid, note) where sms_message_sid = sid`;

/** $1: an array of objects with `id` and `message_id`, whose type is the application's; $2: how an earlier note begins. */
export const NOTE_ADDED = `
update sms_fallbacks
   set message_id = sms.message_id,
       last_error = case when not starts_with(sms_fallbacks.last_error, $2) then sms_fallbacks.last_error end
  from jsonb_populate_recordset(null::sms_fallbacks, $1::jsonb) as sms
 where sms_fallbacks.id = sms.id`;

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
     select min(created_at) as at from ${eventsWhere('message_sid = sms_message_sid')}
      where message_status = any ($2)
   ) as delivered
    left join lateral (
      select created_at as at, error_code from ${eventsWhere('message_sid = sms_message_sid')}
       where message_status in ('failed', 'undelivered')
       order by created_at limit 1
    ) as undelivered on true
)
update sms_fallbacks
   set sms_delivered_at = delivered_at, sms_undelivered_at = undelivered_at, sms_error_code = outcome.error_code
  from outcome
 where sms_fallbacks.id = outcome.id
   and (sms_delivered_at, sms_undelivered_at, sms_error_code) is distinct from
       (delivered_at, undelivered_at, outcome.error_code)`;

/**
 * A fallback in `sending` or `uncertain` may have been sent: its delivery can arrive before that is recorded. Only rows
 * with a delivery are locked, so that recording other SMS is not blocked.
 */
export const RECORD_DUPLICATE_DELIVERIES = `
with fallback as materialized (
  select id, original_message_sid from sms_fallbacks
   where original_message_sid = any ($1) and duplicate_delivery_at is null
     and state in ('sending', 'uncertain', 'sent')
     and exists (
       select from ${eventsWhere('message_sid = original_message_sid')} where message_status = any ($2)
     )
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

/** SQL: those in a sender's line ($1) that no worker has locked. $2: when it may send next, in milliseconds from now. */
const inLine = (condition: string, limit: string) => `
  select id, send_before from sms_fallbacks
   where paced_by = $1 and ${IS_OPEN} and (locked_until is null or locked_until < now()) and ${condition}
   order by send_before limit ${limit}
     for update skip locked`;

/**
 * SQL: whether an SMS would be too late even if it were the next one. Twilio takes no shorter ValidityPeriod than a
 * second.
 * @param opensIn when its sender may send next, in milliseconds from now.
 */
export function isTooLate(sendBefore: string, opensIn: string): string {
  return `${sendBefore} < now() + ${opensIn} * interval '1 millisecond' + interval '1 second'`;
}

const IS_TOO_LATE = isTooLate('send_before', '$2');

/**
 * Lets the first fallbacks of a line go. $3: how many of them may send. Those that are too late by then go as well; they
 * end when they are composed.
 */
export const RELEASE = `
with late as materialized (${inLine(IS_TOO_LATE, '100')}),
next as materialized (${inLine(`coalesce(not ${IS_TOO_LATE}, true)`, '$3')}),
released as (
  update sms_fallbacks
     set paced_by = null, send_before = null, admitted_by = chosen.admitted_by,
         next_attempt_at = date_trunc('milliseconds', now()), updated_at = now()
    from (select *, null::text as admitted_by from late union all select *, $1::text from next) as chosen
   where sms_fallbacks.id = chosen.id
  returning sms_fallbacks.id, sms_fallbacks.admitted_by, chosen.send_before
)
select id, admitted_by is not null as "isAdmitted" from released order by send_before`;

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
