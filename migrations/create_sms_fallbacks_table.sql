-- One row for each WhatsApp message that a policy failure befell: what became of its SMS, and why.
create table if not exists sms_fallbacks (
  id uuid not null default gen_random_uuid(),
  original_message_sid text not null,
  message_event_id uuid not null,
  account_sid text not null,
  state text not null default 'claimed',
  reason text,
  attempts integer not null default 0,
  unanswered_attempts integer not null default 0,
  unanswered_since timestamptz,
  to_number text,
  from_number text,
  messaging_service_sid text,
  body text,
  truncated boolean not null default false,
  status_callback_url text,
  sms_message_sid text,
  last_error_code text,
  last_error text,
  next_attempt_at timestamptz not null default now(),
  attempt_started_at timestamptz,
  locked_until timestamptz,
  sent_at timestamptz,
  retried_at timestamptz,
  duplicate_delivery_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sms_fallbacks_pkey primary key (id),
  constraint sms_fallbacks_original_message_sid_key unique (original_message_sid),
  constraint sms_fallbacks_sms_message_sid_key unique (sms_message_sid),
  constraint sms_fallbacks_state_check
    check (state in ('claimed', 'sending', 'uncertain', 'sent', 'skipped', 'failed')),
  constraint sms_fallbacks_reason_check check (reason is not null or state not in ('skipped', 'failed'))
);

do $$
declare
  message_id_type text := (
    select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = 'messages'::regclass and attname = 'id'
  );
begin
  execute format(
    'alter table sms_fallbacks
       add column if not exists message_id %1$s
         constraint sms_fallbacks_message_id_fkey references messages (id) on delete set null',
    message_id_type
  );
end $$;

-- The fallbacks that are not at an end: what is stuck, and what a restart goes on with.
create index if not exists sms_fallbacks_open_idx on sms_fallbacks (next_attempt_at)
  where state in ('claimed', 'sending', 'uncertain');
-- The newest fallbacks first.
create index if not exists sms_fallbacks_created_at_idx on sms_fallbacks (created_at, id);
-- Those that were tried again of late: a delivery of their original after all is still looked for.
create index if not exists sms_fallbacks_retried_at_idx on sms_fallbacks (retried_at)
  where retried_at is not null;
-- Those that ended in doubt: a callback of their SMS may still tell that it was sent.
create index if not exists sms_fallbacks_in_doubt_idx on sms_fallbacks (updated_at)
  where state = 'failed' and reason = 'no_answer_from_twilio';
-- The foreign key's check when a row of messages is deleted.
create index if not exists sms_fallbacks_message_id_idx on sms_fallbacks (message_id)
  where message_id is not null;

comment on column sms_fallbacks.state is
  'claimed: work to do; sending: the intent is committed, the SMS may be on its way; uncertain: Twilio''s answer was lost, being settled; sent, skipped, failed: ends';
comment on column sms_fallbacks.message_id is 'the row of messages of the SMS';
comment on column sms_fallbacks.duplicate_delivery_at is 'when WhatsApp delivered the original after all';
comment on column sms_fallbacks.locked_until is 'until then a worker has this row to itself';
comment on column sms_fallbacks.retried_at is 'when it was last tried again on purpose; its waits are counted from then';
comment on column sms_fallbacks.unanswered_attempts is 'how many attempts may have been accepted, for want of an answer';
comment on column sms_fallbacks.unanswered_since is 'when the first of them began';
