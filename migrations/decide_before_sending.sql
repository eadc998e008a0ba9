-- What the fallback needs to know before it sends: who the person is, when the original was sent, and what was tried before.

-- WhatsApp's business-scoped IDs of the recipient, for people who hide their number behind a username.
alter table message_events
  add column if not exists user_id text,
  add column if not exists parent_user_id text;

comment on column message_events.user_id is 'WhatsApp''s business-scoped ID of the recipient';
comment on column message_events.parent_user_id is 'the ID of the recipient for the parent business';

-- The number that an earlier event had next to an ID; GET /api/v1/message-events?number=…, and erasing a person.
create index if not exists message_events_user_id_idx on message_events (user_id, created_at) where user_id is not null;
create index if not exists message_events_parent_user_id_idx on message_events (parent_user_id, created_at)
  where parent_user_id is not null;

alter table sms_fallbacks
  add column if not exists user_id text,
  add column if not exists parent_user_id text,
  add column if not exists original_sent_at timestamptz,
  add column if not exists age_limit_ignored boolean not null default false,
  add column if not exists encoding text,
  add column if not exists segments integer,
  add column if not exists not_carried_over text[] not null default '{}',
  add column if not exists earlier_attempts jsonb not null default '[]',
  add column if not exists duplicate_of uuid;

-- What was composed before has no other time of its original.
update sms_fallbacks set original_sent_at = created_at where original_sent_at is null and attempts > 0;

comment on column sms_fallbacks.user_id is 'WhatsApp''s business-scoped ID of the recipient';
comment on column sms_fallbacks.parent_user_id is 'the ID of the recipient for the parent business';
comment on column sms_fallbacks.original_sent_at is 'when the WhatsApp message was sent; its age is measured from then';
comment on column sms_fallbacks.age_limit_ignored is 'an operator asked for the SMS however old the message is';
comment on column sms_fallbacks.encoding is 'GSM-7 or UCS-2';
comment on column sms_fallbacks.segments is 'how many SMS the text takes, as Twilio counts them';
comment on column sms_fallbacks.not_carried_over is 'parts of the WhatsApp message that the SMS lacks: media, buttons, …';
comment on column sms_fallbacks.earlier_attempts is
  'attempts that are known to have failed, oldest first: at, from, messagingServiceSid, outcome, code, smsMessageSid';
comment on column sms_fallbacks.duplicate_of is 'the fallback whose SMS had the same text for the same person';

create index if not exists sms_fallbacks_user_id_idx on sms_fallbacks (user_id) where user_id is not null;
create index if not exists sms_fallbacks_parent_user_id_idx on sms_fallbacks (parent_user_id)
  where parent_user_id is not null;

-- As in follow_messages_in_one_step.sql, with the two IDs.
-- The service's part: finds the rows of messages that nobody has locked and locks them, adds the events, tied to those rows,
-- and says what is left to do.
--
--   added                       as record_message_events has it
--   known_sids                  those of message_sids that are in messages
--   free_sids                   those of them whose rows are locked now
--   risen_sids, risen_statuses  those of them whose status is to rise, and to what
create or replace function store_message_events(
  reports jsonb, message_sids text[], statuses_by_rank text[],
  out added uuid[], out known_sids text[], out free_sids text[], out risen_sids text[], out risen_statuses text[]
)
language plpgsql
-- Tables grow while a plan is kept: what is right for an empty one never is for long. What is switched off counts as very
-- expensive, and would be compiled for that.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
-- A callback that comes twice at once waits for its twin's commit.
set lock_timeout = 0
as $$
-- The application's tables may have any other columns: each column is named with its table, and so are the parameters.
#variable_conflict error
begin
  select array_agg(message.twilio_sid) into store_message_events.known_sids
    from messages as message where message.twilio_sid = any (store_message_events.message_sids);
  if store_message_events.known_sids is not null then
    select array_agg(free.twilio_sid) into store_message_events.free_sids from (
      select message.twilio_sid from messages as message
       where message.twilio_sid = any (store_message_events.known_sids) for no key update skip locked
    ) as free;
  end if;

  -- In the order of their keys, so that two replicas with the same keys cannot block each other.
  with recorded as (
    insert into message_events (
      id, message_sid, message_status, channel, to_number, from_number, user_id, parent_user_id,
      error_code, error_message, account_sid, payload, source, sms_fallback_id, message_id
    )
    select report.id, report.message_sid, report.message_status, report.channel, report.to_number, report.from_number,
           report.user_id, report.parent_user_id,
           report.error_code, report.error_message, report.account_sid, report.payload, report.source,
           report.sms_fallback_id,
           case when report.message_sid = any (store_message_events.free_sids) then (
             select message.id from messages as message where message.twilio_sid = report.message_sid
           ) end
      from jsonb_to_recordset(store_message_events.reports) as report (
        id uuid, message_sid text, message_status text, channel text, to_number text, from_number text,
        user_id text, parent_user_id text, error_code text, error_message text, account_sid text, payload jsonb,
        source text, sms_fallback_id uuid
      )
     order by report.message_sid, report.message_status
    on conflict on constraint message_events_message_sid_message_status_key do nothing
    returning message_events.id
  )
  select array_agg(recorded.id) into store_message_events.added from recorded;

  if store_message_events.free_sids is not null then
    -- Events from before the message was stored.
    update message_events as event set message_id = message.id
      from messages as message
     where event.message_sid = any (store_message_events.free_sids) and event.message_id is null
       and message.twilio_sid = event.message_sid;
    select array_agg(newest.message_sid), array_agg(newest.message_status)
      into store_message_events.risen_sids, store_message_events.risen_statuses
      from (
        select distinct on (event.message_sid) event.message_sid, event.message_status, ranked.rank
          from message_events as event
         cross join array_position(store_message_events.statuses_by_rank, event.message_status) as ranked (rank)
         where event.message_sid = any (store_message_events.free_sids) and ranked.rank is not null
         order by event.message_sid, ranked.rank desc
      ) as newest
      join messages as message on message.twilio_sid = newest.message_sid
     where newest.rank > coalesce(array_position(store_message_events.statuses_by_rank, message.status), 0);
  end if;
end $$;

-- As in look_for_messages_first.sql, with the two IDs.
-- Adds events that are tied to no message, and returns the ids of those that are new. A column that comes to message_events has
-- to come here and into store_message_events.
create or replace function add_unlinked_message_events(reports jsonb, out added uuid[])
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
-- A callback that comes twice at once waits for its twin's commit.
set lock_timeout = 0
as $$
#variable_conflict error
begin
  -- In the order of their keys, so that two replicas with the same keys cannot block each other.
  with recorded as (
    insert into message_events (
      id, message_sid, message_status, channel, to_number, from_number, user_id, parent_user_id,
      error_code, error_message, account_sid, payload, source, sms_fallback_id
    )
    select report.id, report.message_sid, report.message_status, report.channel, report.to_number, report.from_number,
           report.user_id, report.parent_user_id,
           report.error_code, report.error_message, report.account_sid, report.payload, report.source,
           report.sms_fallback_id
      from jsonb_to_recordset(add_unlinked_message_events.reports) as report (
        id uuid, message_sid text, message_status text, channel text, to_number text, from_number text,
        user_id text, parent_user_id text, error_code text, error_message text, account_sid text, payload jsonb,
        source text, sms_fallback_id uuid
      )
     order by report.message_sid, report.message_status
    on conflict on constraint message_events_message_sid_message_status_key do nothing
    returning message_events.id
  )
  select array_agg(recorded.id) into add_unlinked_message_events.added from recorded;
end $$;
