-- What became of the SMS of a fallback where it was sent and then not delivered, for GET /api/v1/fallbacks?undelivered=true.
alter table sms_fallbacks
  add column if not exists sms_undelivered_at timestamptz,
  add column if not exists sms_error_code text;

comment on column sms_fallbacks.sms_undelivered_at is
  'when the SMS was reported as failed or undelivered; set when that event is counted, about a minute later';
comment on column sms_fallbacks.sms_error_code is 'the error code of that report';

-- Those whose events are counted already: by the unique key of message_events, for the few SMS that are not delivered.
with reported as (
  select fallback.id, report.created_at, report.error_code
    from sms_fallbacks as fallback cross join lateral (
      select created_at, error_code from message_events
       where message_sid = fallback.sms_message_sid and message_status in ('failed', 'undelivered')
       order by created_at limit 1
    ) as report
   where fallback.sms_message_sid is not null and fallback.sms_delivered_at is null
     and fallback.sms_undelivered_at is null
)
update sms_fallbacks set sms_undelivered_at = reported.created_at, sms_error_code = reported.error_code
  from reported where sms_fallbacks.id = reported.id;

-- The newest first. Few SMS are not delivered, so it is small.
create index if not exists sms_fallbacks_undelivered_idx on sms_fallbacks (created_at, id)
  where sms_undelivered_at is not null and sms_delivered_at is null;
