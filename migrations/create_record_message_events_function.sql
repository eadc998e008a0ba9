-- Returns the message_sids that are in messages; null if there are none.
create or replace function known_message_sids(message_sids text[]) returns text[]
language plpgsql
-- Not declared stable: it must see what was committed while it waited for a lock of the whole table.
--
-- Tables grow while a plan is kept, as with store_message_events.
set enable_seqscan = off
set jit = off
-- A wait here is also a wait for the foreign keys' checks.
set lock_timeout = 0
as $$
-- The application's tables may have any other columns: each column is named with its table, and so are the parameters.
#variable_conflict error
begin
  return (
    select array_agg(message.twilio_sid)
      from messages as message where message.twilio_sid = any (known_message_sids.message_sids)
  );
end $$;

-- The service's part: finds the rows of messages that nobody has locked and locks them, adds the events, tied to those
-- rows, and returns what is left to do.
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
-- Tables grow while a plan is kept: a plan for an empty table does not stay right for long. A disabled scan counts as
-- very expensive, and would be compiled because of that.
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

-- Adds events that are tied to no message, and returns the ids of the new ones. A new column of message_events must be
-- added here and to store_message_events.
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

-- Adds events to the log and updates the application's messages, in one statement and one commit. A function keeps its
-- plans for as long as the connection lasts: for groups of 16 callbacks, planning took longer than writing.
--
-- The log does not depend on the application's rows: locked rows are left for later, a lock that one of their triggers
-- needs is waited for 0.2 s, and no other failure with messages undoes the log. Only a lock of the whole table (alter
-- table) delays the log, because the foreign keys' checks need it.
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
set lock_timeout = '200ms'
as $$
#variable_conflict error
declare
  known_sids text[];
  stored record;
  is_stored boolean := false;
begin
  -- It writes nothing, so this subtransaction takes no transaction id.
  begin
    known_sids := known_message_sids(record_message_events.message_sids);
  exception when assert_failure or others then
    record_message_events.problem := sqlerrm;
    record_message_events.unlinked := record_message_events.message_sids;
  end;
  if known_sids is null then
    record_message_events.added := add_unlinked_message_events(record_message_events.reports);
    return;
  end if;

  -- One block, which is one subtransaction: a row that is locked in one and updated in another gets a multixact, and
  -- multixacts are the most expensive to vacuum.
  begin
    select * into stored from store_message_events(
      record_message_events.reports, known_sids, record_message_events.statuses_by_rank
    );
    is_stored := true;
    record_message_events.added := stored.added;
    if stored.risen_sids is not null then
      -- Otherwise a deferred constraint or trigger of the application could undo the log at the commit.
      set constraints all immediate;
      -- Planned each time, because the application's triggers run within it and need the default planner settings:
      -- without the settings of the other function, a kept plan would fit only an earlier state of the table.
      execute
        'update messages as message set status = risen.status
           from unnest($1, $2) as risen (sid, status) where message.twilio_sid = risen.sid'
        using stored.risen_sids, stored.risen_statuses;
    end if;
  exception when query_canceled or assert_failure or others then
    -- If the log has to wait too long, it is not stored, and the callbacks get that answer.
    if not is_stored and sqlstate = '57014' then
      raise;
    end if;
    record_message_events.problem := sqlerrm;
    record_message_events.unlinked := known_sids;
    record_message_events.added := add_unlinked_message_events(record_message_events.reports);
  end;
  if record_message_events.problem is null then
    select array_agg(known.sid) into record_message_events.unlinked
      from unnest(stored.known_sids) as known (sid)
     where stored.free_sids is null or known.sid <> all (stored.free_sids);
  end if;
end $$;
