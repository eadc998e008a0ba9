-- One row for each WhatsApp message with a policy failure: the outcome of its SMS, and why.
create table if not exists sms_fallbacks (
  id uuid not null default gen_random_uuid(),
  original_message_sid text not null,
  message_event_id uuid not null,
  account_sid text not null,
  user_id text,
  parent_user_id text,
  original_sent_at timestamptz,
  age_limit_ignored boolean not null default false,
  state text not null default 'claimed',
  reason text,
  attempts integer not null default 0,
  unanswered_attempts integer not null default 0,
  unanswered_since timestamptz,
  to_number text,
  conversation_id text,
  from_number text,
  messaging_service_sid text,
  body text,
  truncated boolean not null default false,
  encoding text,
  segments integer,
  not_carried_over text[] not null default '{}',
  status_callback_url text,
  sms_message_sid text,
  message_id uuid,
  earlier_attempts jsonb not null default '[]',
  duplicate_of uuid,
  last_error_code text,
  last_error text,
  next_attempt_at timestamptz not null default now(),
  due_since timestamptz,
  attempt_started_at timestamptz,
  locked_until timestamptz,
  sent_at timestamptz,
  sms_delivered_at timestamptz,
  sms_undelivered_at timestamptz,
  sms_error_code text,
  retried_at timestamptz,
  retried_by text,
  paced_by text,
  send_before timestamptz,
  admitted_by text,
  duplicate_delivery_at timestamptz,
  erased_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sms_fallbacks_pkey primary key (id),
  constraint sms_fallbacks_original_message_sid_key unique (original_message_sid),
  constraint sms_fallbacks_sms_message_sid_key unique (sms_message_sid),
  constraint sms_fallbacks_state_check
    check (state in ('claimed', 'sending', 'uncertain', 'sent', 'skipped', 'failed')),
  constraint sms_fallbacks_reason_check check (reason is not null or state not in ('skipped', 'failed'))
-- Each row changes three times while its SMS is sent: the last change finds room on the page and touches no index.
) with (fillfactor = 80);

-- The open fallbacks: stuck ones, and those that a restart continues.
create index if not exists sms_fallbacks_open_idx on sms_fallbacks (next_attempt_at)
  where state in ('claimed', 'sending', 'uncertain');
-- The fallbacks that wait for the pace of their sender, in the order of their deadlines.
create index if not exists sms_fallbacks_paced_idx on sms_fallbacks (paced_by, send_before)
  where paced_by is not null;
-- The newest fallbacks first; and GET /api/v1/stats: the outcomes of fallbacks, from the index alone.
create index if not exists sms_fallbacks_created_at_idx
  on sms_fallbacks (created_at, id, state, reason, last_error_code, sms_delivered_at);
-- Fallbacks that were retried recently: a late delivery of their original is still looked for.
create index if not exists sms_fallbacks_retried_at_idx on sms_fallbacks (retried_at)
  where retried_at is not null;
-- Fallbacks that ended in doubt: a callback of their SMS may still show that it was sent.
create index if not exists sms_fallbacks_in_doubt_idx on sms_fallbacks (updated_at)
  where state = 'failed' and reason = 'no_answer_from_twilio';
-- GET /api/v1/fallbacks?state=…, the newest first.
create index if not exists sms_fallbacks_state_idx on sms_fallbacks (state, created_at, id);
-- GET /api/v1/fallbacks?undelivered=true, the newest first. Few SMS are not delivered.
create index if not exists sms_fallbacks_undelivered_idx on sms_fallbacks (created_at, id)
  where sms_undelivered_at is not null and sms_delivered_at is null;
-- GET /api/v1/fallbacks?number=…, and erasing a person: by number and by WhatsApp's IDs.
create index if not exists sms_fallbacks_to_number_idx on sms_fallbacks (to_number) where to_number is not null;
create index if not exists sms_fallbacks_user_id_idx on sms_fallbacks (user_id) where user_id is not null;
create index if not exists sms_fallbacks_parent_user_id_idx on sms_fallbacks (parent_user_id)
  where parent_user_id is not null;
-- RETENTION_DAYS: the oldest ended fallbacks that are not erased.
create index if not exists sms_fallbacks_not_erased_idx on sms_fallbacks (created_at)
  where erased_at is null and state in ('sent', 'skipped', 'failed');

comment on column sms_fallbacks.state is
  'claimed: work to do; sending: the intent is committed, the SMS may be on its way; uncertain: Twilio''s answer was lost, being settled; sent, skipped, failed: ends';
comment on column sms_fallbacks.conversation_id is
  'conversations.id of the original, for the row of the SMS in messages';
comment on column sms_fallbacks.message_id is 'the row of messages of the SMS';
comment on column sms_fallbacks.duplicate_delivery_at is 'when WhatsApp delivered the original after all';
comment on column sms_fallbacks.locked_until is 'until then a worker has this row to itself';
comment on column sms_fallbacks.retried_at is 'when it was last tried again on purpose; its waits are counted from then';
comment on column sms_fallbacks.unanswered_attempts is 'how many attempts may have been accepted, for want of an answer';
comment on column sms_fallbacks.unanswered_since is 'when the first of them began';
comment on column sms_fallbacks.sms_error_code is 'the error code of that report';
comment on column sms_fallbacks.user_id is 'WhatsApp''s business-scoped ID of the recipient';
comment on column sms_fallbacks.parent_user_id is 'the ID of the recipient for the parent business';
comment on column sms_fallbacks.age_limit_ignored is 'an operator asked for the SMS however old the message is';
comment on column sms_fallbacks.encoding is 'GSM-7 or UCS-2';
comment on column sms_fallbacks.segments is 'how many SMS the text takes, as Twilio counts them';
comment on column sms_fallbacks.not_carried_over is 'parts of the WhatsApp message that the SMS lacks: media, buttons, …';
comment on column sms_fallbacks.earlier_attempts is
  'attempts that are known to have failed, oldest first: at, from, messagingServiceSid, outcome, code, smsMessageSid';
comment on column sms_fallbacks.duplicate_of is 'the fallback whose SMS had the same text for the same person';
comment on column sms_fallbacks.due_since is
  'since when its SMS is due, if that is later than its claim: after a hold, or after an SMS that was never sent';
comment on column sms_fallbacks.retried_by is
  'who last asked for another try: key:<name of the API key>, or cli:<user>@<host>';
comment on column sms_fallbacks.paced_by is 'the key of sms_senders whose pace it waits for';
comment on column sms_fallbacks.send_before is 'its deadline while it waits: when the original is too old';
comment on column sms_fallbacks.admitted_by is 'the key of sms_senders that lets it send now';
comment on column sms_fallbacks.original_sent_at is 'when the WhatsApp message was sent; its age is measured from then';
comment on column sms_fallbacks.sms_delivered_at is
  'when the SMS was reported as delivered; set about a second later';
comment on column sms_fallbacks.sms_undelivered_at is
  'when the SMS was reported as failed or undelivered; set about a second later';
comment on column sms_fallbacks.erased_at is 'when the number and the text were blanked; nothing can be sent since';

-- The pace of each sender that has a rate, or that Twilio has refused for sending too fast.
create table if not exists sms_senders (
  key text not null,
  free_at timestamptz not null default now(),
  slowed_at timestamptz,
  slowed_by text,
  slowed_from double precision,
  slowed_to double precision,
  not_before timestamptz,
  updated_at timestamptz not null default now(),
  constraint sms_senders_pkey primary key (key)
);

comment on column sms_senders.key is
  'the account SID, a space, and the number or the SID of the Messaging Service';
comment on column sms_senders.free_at is 'when the SMS that were allowed so far are sent at an even pace';
comment on column sms_senders.slowed_at is 'when its rate was last halved';
comment on column sms_senders.slowed_by is 'Twilio''s error code that it was halved for';
comment on column sms_senders.slowed_from is 'the SMS per second at which Twilio refused one';
comment on column sms_senders.slowed_to is 'the SMS per second right after that; it recovers with time';
comment on column sms_senders.not_before is 'until then Twilio asks to send nothing (Retry-After)';
