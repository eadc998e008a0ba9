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

-- The application's own tables, created only if they do not exist.
create table if not exists companies (
  id uuid not null default gen_random_uuid(),
  name text,
  phone_number text,
  constraint companies_pkey primary key (id)
);

create table if not exists conversations (
  id uuid not null default gen_random_uuid(),
  company_id uuid,
  constraint conversations_pkey primary key (id),
  constraint conversations_company_id_fkey foreign key (company_id) references companies (id) on delete set null
);

create table if not exists messages (
  id uuid not null default gen_random_uuid(),
  conversation_id uuid,
  twilio_sid text,
  direction text,
  channel text,
  body text,
  status text,
  created_at timestamptz not null default now(),
  constraint messages_pkey primary key (id),
  constraint messages_twilio_sid_key unique (twilio_sid),
  constraint messages_conversation_id_fkey foreign key (conversation_id) references conversations (id) on delete set null
);

-- Checks the columns that the service uses in the application's tables: better to fail here than after an SMS was sent.
do $$
declare
  missing text := (
    select string_agg(needed.name || '.' || needed.attribute, ', ')
    from (values
      ('companies', 'id'), ('companies', 'name'), ('companies', 'phone_number'),
      ('conversations', 'id'), ('conversations', 'company_id'),
      ('messages', 'id'), ('messages', 'conversation_id'), ('messages', 'twilio_sid'), ('messages', 'direction'),
      ('messages', 'channel'), ('messages', 'body'), ('messages', 'status'), ('messages', 'created_at')
    ) as needed (name, attribute)
    where not exists (
      select from pg_attribute
      where attrelid = needed.name::regclass and attname = needed.attribute and not attisdropped
    )
  );
  -- An enum would refuse statuses that Twilio adds later; category S holds the text types.
  not_text text := (
    select string_agg('messages.' || attname, ', ' order by attnum)
    from pg_attribute join pg_type on pg_type.oid = atttypid
    where attrelid = 'messages'::regclass and not attisdropped and typcategory <> 'S'
      and attname in ('twilio_sid', 'direction', 'channel', 'body', 'status')
  );
begin
  if missing is not null then
    raise exception 'the application''s tables lack columns that the service needs: %', missing;
  end if;
  if not_text is not null then
    raise exception 'columns that must be text or varchar, because Twilio adds values: %', not_text;
  end if;
  if not exists (
    select from pg_index
    join pg_attribute on attrelid = indrelid and attnum = indkey[0]
    where indrelid = 'messages'::regclass and attname = 'twilio_sid'
      and indisunique and indnkeyatts = 1 and indpred is null
  ) then
    raise exception 'messages.twilio_sid must be unique: alter table messages add unique (twilio_sid)';
  end if;
end $$;

-- The log names messages by text. An index on another type, such as citext or char(n), does not find text: each callback
-- would read the whole of messages.
do $$
declare
  unsuitable text := (
    select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = 'messages'::regclass and attname = 'twilio_sid'
      and not exists (
        select from pg_index join pg_opclass on pg_opclass.oid = indclass[0]
        where indrelid = attrelid and indkey[0] = attnum and indisunique and indisvalid and indnkeyatts = 1 and indpred is null
          and opcintype = 'text'::regtype
      )
  );
begin
  if unsuitable is not null then
    raise exception 'messages.twilio_sid must be text or varchar, because an index of % does not find text: alter table messages alter twilio_sid type text',
      unsuitable;
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
  created_at timestamptz not null default now(),
  constraint message_events_pkey primary key (id),
  constraint message_events_message_sid_message_status_key unique (message_sid, message_status)
);

-- The link to the row of the SMS has the type of messages.id in the application's schema. It is a hint without a foreign
-- key: no lock, trigger, or type of the application's tables can affect the log.
do $$
begin
  execute format('alter table message_events add column if not exists fallback_sms_message_id %s', (
    select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = 'messages'::regclass and attname = 'id'
  ));
end $$;

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

-- GET /api/v1/message-events?company=… goes from a company to its messages. An empty table costs nothing to index; the owner
-- of a large one indexes it concurrently:
--   create index concurrently messages_conversation_id_idx on messages (conversation_id);
--   create index concurrently conversations_company_id_idx on conversations (company_id);
do $$
begin
  if not exists (select from messages) then
    create index if not exists messages_conversation_id_idx on messages (conversation_id);
  end if;
  -- An application may have a view.
  if not exists (select from conversations)
    and exists (select from pg_class where oid = 'conversations'::regclass and relkind in ('r', 'p')) then
    create index if not exists conversations_company_id_idx on conversations (company_id);
  end if;
end $$;

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
