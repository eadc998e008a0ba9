-- What the service derives from the event log: counts for statistics, and the messages to ask Twilio about.

-- What GET /api/v1/stats is answered from: how many events there were in each minute, hour and day (of UTC). Counts name
-- nobody, so they stay when old events are deleted.
create table if not exists message_event_counts (
  unit text not null,
  begins_at timestamptz not null,
  channel text not null,
  message_status text not null,
  error_code text not null,
  events integer not null,
  constraint message_event_counts_pkey primary key (unit, begins_at, channel, message_status, error_code),
  constraint message_event_counts_unit_check check (unit in ('minute', 'hour', 'day'))
);

comment on column message_event_counts.error_code is 'empty where the events have none';

-- How far message_events is counted, by created_at.
create table if not exists message_event_count_watermark (
  only_row boolean not null default true,
  counted_until timestamptz not null,
  constraint message_event_count_watermark_pkey primary key (only_row),
  constraint message_event_count_watermark_only_row_check check (only_row)
);

comment on column message_event_count_watermark.counted_until is
  'every event that was stored before this time is in message_event_counts';

-- The events that are there already are counted too, beginning with the oldest, while the service runs.
insert into message_event_count_watermark (counted_until) values ('-infinity') on conflict (only_row) do nothing;

-- The WhatsApp messages that Twilio is asked about, because their latest status has been no final one for too long.
create table if not exists message_polls (
  message_sid text not null,
  account_sid text not null,
  waiting_since timestamptz not null,
  next_poll_at timestamptz not null default now(),
  polls integer not null default 0,
  constraint message_polls_pkey primary key (message_sid)
);

create index if not exists message_polls_next_poll_at_idx on message_polls (next_poll_at);

comment on column message_polls.waiting_since is 'when the latest status was reported, or the message stored';
comment on column message_polls.polls is 'how many times Twilio was asked since then';

-- How far message_events and messages were looked through for such messages, by created_at and then by key.
create table if not exists message_poll_watermarks (
  source text not null,
  created_at timestamptz not null,
  key text not null default '',
  constraint message_poll_watermarks_pkey primary key (source)
);

comment on column message_poll_watermarks.key is
  'among rows of one created_at: message_events.id, or messages.twilio_sid';

-- Messages from now on. Those before are nobody's gap, and an SMS for each of them would be a surprise.
insert into message_poll_watermarks (source, created_at)
values ('message_events', now()), ('messages', now())
on conflict (source) do nothing;

-- What messages is looked through by. An empty table is the service's own, or costs nothing to index; one with rows is
-- the application's, and a large one is better indexed concurrently by whoever knows it:
--   create index concurrently messages_created_at_idx on messages (created_at);
do $$
begin
  if not exists (select from messages) then
    create index if not exists messages_created_at_idx on messages (created_at);
  end if;
end $$;
