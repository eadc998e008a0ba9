-- Adds events to the log, and lets the application's messages follow, in one statement and one commit. A function keeps its
-- plans for as long as the connection lasts: for groups of 16 callbacks, planning took longer than writing.
--
-- The log does not depend on the application's rows: what somebody has locked is left for later, a lock that a trigger of
-- theirs needs is waited for 0.2 s, and whatever else goes wrong with messages undoes nothing of the log. Only a lock of the
-- whole table (alter table) holds the log up, because the foreign keys' checks need it.
--
--   reports           an array of objects with the columns of message_events; an empty one lets messages follow only
--   message_sids      the SIDs of their messages
--   statuses_by_rank  from the lowest to the highest; messages.status never falls
--   added             the ids of those that are new; the others were known already
--   unlinked          the SIDs of rows in messages that could not follow now
--   problem           why, where it was an error and not a lock
create or replace function record_message_events(
  reports jsonb, message_sids text[], statuses_by_rank text[], out added uuid[], out unlinked text[], out problem text
)
language plpgsql
-- Tables grow while a plan is kept: what is right for an empty one never is for long.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set lock_timeout = 0
as $$
#variable_conflict use_column
declare
  known text[];
  available text[];
begin
  begin
    perform set_config('lock_timeout', '200ms', true);
    select array_agg(twilio_sid) into known from messages where twilio_sid = any (message_sids);
    if known is not null then
      select array_agg(twilio_sid) into available from (
        select twilio_sid from messages where twilio_sid = any (known) for no key update skip locked
      ) as free;
    end if;
  exception when query_canceled or others then
    known := message_sids;
    problem := sqlerrm;
  end;
  perform set_config('lock_timeout', '0', true);

  -- In the order of their keys, so that two replicas with the same keys cannot block each other.
  with recorded as (
    insert into message_events (
      id, message_sid, message_status, channel, to_number, from_number,
      error_code, error_message, account_sid, payload, source, sms_fallback_id, message_id
    )
    select id, message_sid, message_status, channel, to_number, from_number,
           error_code, error_message, account_sid, payload, source, sms_fallback_id,
           case when message_sid = any (available) then (select messages.id from messages where twilio_sid = message_sid) end
      from jsonb_to_recordset(reports) as report (
        id uuid, message_sid text, message_status text, channel text, to_number text, from_number text,
        error_code text, error_message text, account_sid text, payload jsonb, source text, sms_fallback_id uuid
      )
     order by message_sid, message_status
    on conflict (message_sid, message_status) do nothing
    returning id
  )
  select array_agg(id) into added from recorded;

  if available is not null then
    begin
      perform set_config('lock_timeout', '200ms', true);
      -- Events from before the message was stored.
      update message_events set message_id = messages.id
        from messages
       where message_sid = any (available) and message_id is null and twilio_sid = message_sid;
      update messages set status = message_status
        from (
          select distinct on (message_sid) message_sid, message_status, rank
            from message_events, array_position(statuses_by_rank, message_status) as rank
           where message_sid = any (available) and rank is not null
           order by message_sid, rank desc
        ) as newest
       where twilio_sid = message_sid and rank > coalesce(array_position(statuses_by_rank, status), 0);
    exception when query_canceled or others then
      available := null;
      problem := sqlerrm;
    end;
  end if;
  select array_agg(message_sid) into unlinked
    from unnest(known) as message_sid
   where available is null or message_sid <> all (available);
end $$;
