-- What GET /health/ready writes, to find out whether the database commits.
create table if not exists whatsapp_sms_fallback_heartbeat (
  only_row boolean not null default true,
  committed_at timestamptz not null,
  padding text,
  constraint whatsapp_sms_fallback_heartbeat_pkey primary key (only_row),
  constraint whatsapp_sms_fallback_heartbeat_only_row_check check (only_row)
);

comment on column whatsapp_sms_fallback_heartbeat.padding is
  'always null: written and rolled back after the disk was full, to find out whether a table can grow';

-- Not compressed, or little of it would be written.
alter table whatsapp_sms_fallback_heartbeat alter column padding set storage external;
