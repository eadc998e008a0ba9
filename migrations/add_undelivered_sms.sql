-- What became of the SMS of a fallback where it was sent and then not delivered, for GET /api/v1/fallbacks?undelivered=true.
alter table sms_fallbacks
  add column if not exists sms_undelivered_at timestamptz,
  add column if not exists sms_error_code text;

comment on column sms_fallbacks.sms_undelivered_at is
  'when the SMS was reported as failed or undelivered; set when that event is counted, about a minute later';
comment on column sms_fallbacks.sms_error_code is 'the error code of that report';

-- The newest first. Few SMS are not delivered, so it is small.
create index if not exists sms_fallbacks_undelivered_idx on sms_fallbacks (created_at, id)
  where sms_undelivered_at is not null and sms_delivered_at is null;
