-- Callbacks with a valid signature whose parameters cannot be an event, kept for the operator to look at.
-- The service keeps the newest 10,000.
create table if not exists rejected_callbacks (
  id bigint not null generated always as identity,
  reason text not null,
  payload jsonb not null,
  created_at timestamptz not null default now(),
  constraint rejected_callbacks_pkey primary key (id)
);
