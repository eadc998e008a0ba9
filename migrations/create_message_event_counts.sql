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

alter table sms_fallbacks add column if not exists sms_delivered_at timestamptz;

comment on column sms_fallbacks.sms_delivered_at is
  'when the SMS was reported as delivered; set when that event is counted, about a minute later';

-- GET /api/v1/stats: what became of the fallbacks of a time, out of the index alone.
create index if not exists sms_fallbacks_outcomes_idx
  on sms_fallbacks (created_at, state, reason, last_error_code, sms_delivered_at, id);
