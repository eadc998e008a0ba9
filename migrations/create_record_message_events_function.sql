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
-- Tables grow while a plan is kept: what is right for an empty one never is for long. What is switched off counts as very
-- expensive, and would be compiled for that.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set lock_timeout = 0
as $$
-- The application's tables may have any other columns: each column is named with its table, and so are the parameters.
#variable_conflict error
declare
  known_sids text[];
  free_sids text[];
begin
  begin
    perform set_config('lock_timeout', '200ms', true);
    select array_agg(message.twilio_sid) into known_sids
      from messages as message where message.twilio_sid = any (record_message_events.message_sids);
    if known_sids is not null then
      select array_agg(free.twilio_sid) into free_sids from (
        select message.twilio_sid from messages as message
         where message.twilio_sid = any (known_sids) for no key update skip locked
      ) as free;
    end if;
  exception when others then
    known_sids := record_message_events.message_sids;
    record_message_events.problem := sqlerrm;
  end;
  perform set_config('lock_timeout', '0', true);

  -- In the order of their keys, so that two replicas with the same keys cannot block each other.
  with recorded as (
    insert into message_events (
      id, message_sid, message_status, channel, to_number, from_number,
      error_code, error_message, account_sid, payload, source, sms_fallback_id, message_id
    )
    select report.id, report.message_sid, report.message_status, report.channel, report.to_number, report.from_number,
           report.error_code, report.error_message, report.account_sid, report.payload, report.source,
           report.sms_fallback_id,
           case when report.message_sid = any (free_sids) then (
             select message.id from messages as message where message.twilio_sid = report.message_sid
           ) end
      from jsonb_to_recordset(record_message_events.reports) as report (
        id uuid, message_sid text, message_status text, channel text, to_number text, from_number text,
        error_code text, error_message text, account_sid text, payload jsonb, source text, sms_fallback_id uuid
      )
     order by report.message_sid, report.message_status
    on conflict on constraint message_events_message_sid_message_status_key do nothing
    returning message_events.id
  )
  select array_agg(recorded.id) into record_message_events.added from recorded;

  if free_sids is not null then
    begin
      perform set_config('lock_timeout', '200ms', true);
      -- What a deferred constraint or trigger of the application refuses would undo the log at the commit.
      set constraints all immediate;
      -- Events from before the message was stored.
      update message_events as event set message_id = message.id
        from messages as message
       where event.message_sid = any (free_sids) and event.message_id is null and message.twilio_sid = event.message_sid;
      update messages as message set status = newest.message_status
        from (
          select distinct on (event.message_sid) event.message_sid, event.message_status, ranked.rank
            from message_events as event
           cross join array_position(record_message_events.statuses_by_rank, event.message_status) as ranked (rank)
           where event.message_sid = any (free_sids) and ranked.rank is not null
           order by event.message_sid, ranked.rank desc
        ) as newest
       where message.twilio_sid = newest.message_sid
         and newest.rank > coalesce(array_position(record_message_events.statuses_by_rank, message.status), 0);
    exception when query_canceled or others then
      free_sids := null;
      record_message_events.problem := sqlerrm;
    end;
  end if;
  select array_agg(known.sid) into record_message_events.unlinked
    from unnest(known_sids) as known (sid)
   where free_sids is null or known.sid <> all (free_sids);
end $$;
