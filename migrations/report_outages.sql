-- What the service knows about outages of Twilio, on every replica and after a restart.

-- A time in which every request of one kind failed for an account.
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

-- A fallback is overdue by its age. What waits on purpose is not.
alter table sms_fallbacks add column if not exists due_since timestamptz;

comment on column sms_fallbacks.due_since is
  'since when its SMS is due, if that is later than its claim: after a hold, or after an SMS that was never sent';

update sms_fallbacks set due_since = next_attempt_at
 where state = 'claimed' and reason in ('held', 'sms_never_sent') and due_since is null;
