-- Tables for operators, and for the service's own state.

-- Callbacks with a valid signature whose parameters cannot be an event, kept for the operator. The service keeps the
-- newest 10,000.
create table if not exists rejected_callbacks (
  id bigint not null generated always as identity,
  reason text not null,
  payload jsonb not null,
  created_at timestamptz not null default now(),
  constraint rejected_callbacks_pkey primary key (id)
);

-- A period in which every request of one kind failed for an account.
create table if not exists twilio_failures (
  id uuid not null default gen_random_uuid(),
  account_sid text not null,
  operation text not null,
  reason text not null,
  error_code text not null,
  failing_since timestamptz not null,
  last_failed_at timestamptz not null,
  failures integer not null default 1,
  retry_at timestamptz,
  ended_at timestamptz,
  constraint twilio_failures_pkey primary key (id)
);

create unique index if not exists twilio_failures_current_key on twilio_failures (account_sid, operation)
  where ended_at is null;

comment on column twilio_failures.operation is 'send, read (statuses, original texts), or templates';
comment on column twilio_failures.reason is 'why, as the latest of its requests says';
comment on column twilio_failures.failures is 'how many requests failed';
comment on column twilio_failures.retry_at is 'until then Twilio asks for no other request';
comment on column twilio_failures.ended_at is 'when a request succeeded again; a short failure is deleted instead';

-- GET /health/ready writes here to find out whether the database commits.
create table if not exists whatsapp_sms_fallback_heartbeat (
  only_row boolean not null default true,
  committed_at timestamptz not null,
  padding text,
  constraint whatsapp_sms_fallback_heartbeat_pkey primary key (only_row),
  constraint whatsapp_sms_fallback_heartbeat_only_row_check check (only_row)
);

comment on column whatsapp_sms_fallback_heartbeat.padding is
  'always null: written and rolled back after the disk was full, to find out whether a table can grow';

-- Not compressed, so that the full size is written.
alter table whatsapp_sms_fallback_heartbeat alter column padding set storage external;

-- Signed-out sessions of the operators' page, until they would have expired. The server keeps no session state, so
-- without this a copied cookie would stay valid until then on each replica.
create table if not exists ended_sessions (
  id text not null,
  ends_at timestamptz not null,
  constraint ended_sessions_pkey primary key (id)
);
