-- Data that the service derives from the event log: counts for statistics, and the messages to ask Twilio about.

-- The source of GET /api/v1/stats: the number of events in each minute, hour and day (of UTC). Counts hold no personal
-- data, so they stay when old events are deleted.
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

-- The WhatsApp messages that Twilio is asked about, because they have had no final status for too long.
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

-- The position up to which messages was searched for such messages without any event, by created_at and then by key.
create table if not exists message_poll_watermarks (
  source text not null,
  created_at timestamptz not null,
  key text not null default '',
  constraint message_poll_watermarks_pkey primary key (source)
);

comment on column message_poll_watermarks.key is
  'among rows of one created_at: messages.twilio_sid';
