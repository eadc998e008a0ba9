-- The event log: one row for each status of each message that Twilio reported.
-- Applied by `npm run migrate`, and safe to apply by hand:
--   psql "$DATABASE_URL" -f migrations/create_message_events_table.sql

-- Nothing was released with another layout, so there is no migration from one.
do $$
begin
  if exists (
    select from pg_attribute where attrelid = to_regclass('message_events') and attname = 'message_id' and not attisdropped
  ) then
    raise exception 'message_events is of an unreleased version, from which there is no migration: copy what you need, and drop the tables message_events and sms_fallbacks';
  end if;
end $$;

create table if not exists message_events (
  id uuid not null default gen_random_uuid(),
  message_sid text not null,
  message_status text not null,
  channel text not null,
  to_number text,
  from_number text,
  user_id text,
  parent_user_id text,
  error_code text,
  error_message text,
  account_sid text not null,
  payload jsonb not null,
  source text not null default 'callback',
  sms_fallback_id uuid,
  fallback_sms_message_id uuid,
  created_at timestamptz not null default now(),
  constraint message_events_pkey primary key (id),
  constraint message_events_message_sid_message_status_key unique (message_sid, message_status)
);

-- The newest callbacks first.
create index if not exists message_events_created_at_idx on message_events (created_at);
-- Failures by error code, newest first. Most events are not failures, so the index stays small.
create index if not exists message_events_failures_idx on message_events (error_code, created_at)
  where message_status in ('failed', 'undelivered');
-- The events that caused an SMS.
create index if not exists message_events_fallback_sms_message_id_idx on message_events (fallback_sms_message_id)
  where fallback_sms_message_id is not null;
-- The callbacks of an SMS that carry the id of its fallback: they identify an SMS whose sending was not answered.
create index if not exists message_events_sms_fallback_id_idx on message_events (sms_fallback_id)
  where sms_fallback_id is not null;

-- Polled rows, newest first. There are few.
create index if not exists message_events_polled_idx on message_events (created_at) where source = 'poll';
-- GET /api/v1/message-events?number=…, and erasing a person: by number and by WhatsApp's IDs.
create index if not exists message_events_to_number_idx on message_events (to_number, created_at)
  where to_number is not null;
create index if not exists message_events_user_id_idx on message_events (user_id, created_at) where user_id is not null;
create index if not exists message_events_parent_user_id_idx on message_events (parent_user_id, created_at)
  where parent_user_id is not null;
-- GET /api/v1/message-events?channel=…&status=…, the newest first. The id lets the index alone answer a page; without it the
-- planner reads created_at, for seconds if a status is rare.
create index if not exists message_events_channel_status_idx
  on message_events (channel, message_status, created_at, id);

comment on column message_events.user_id is 'WhatsApp''s business-scoped ID of the recipient';
comment on column message_events.parent_user_id is 'the ID of the recipient for the parent business';
comment on column message_events.payload is 'every parameter of the callback as received';
comment on column message_events.source is 'callback: Twilio called; poll: Twilio was asked';
comment on column message_events.channel is 'prefix of the address: whatsapp, rcs, messenger, …; sms where there is none';
comment on column message_events.sms_fallback_id is 'the sms_fallbacks row whose SMS this callback is about';

-- What the follower has yet to do: a row for each new event, added by the same statement, and one for each message to look
-- at again. Follows within about a second: messages.status, counts, polling, and the outcome of an SMS.
create table if not exists message_event_outbox (
  due_at timestamptz not null default now(),
  id uuid not null default gen_random_uuid(),
  message_sid text not null,
  counted boolean not null default false,
  tries integer not null default 0,
  constraint message_event_outbox_pkey primary key (due_at, id)
);

comment on column message_event_outbox.id is 'message_events.id of an event that is not counted yet';
comment on column message_event_outbox.tries is 'how often messages.status could not follow';
