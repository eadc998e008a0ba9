-- Fills the columns of the two migrations before this one. It is a transaction of its own, so that nobody waits for it.

-- SMS that were not delivered and whose events are counted already; counting sees the others. By the unique key of
-- message_events.
with counted as (
  select counted_until from message_event_count_watermark where counted_until > '-infinity'
),
reported as (
  select fallback.id, report.created_at, report.error_code
    from counted cross join sms_fallbacks as fallback cross join lateral (
      select created_at, error_code from message_events
       where message_sid = fallback.sms_message_sid and message_status in ('failed', 'undelivered')
         and created_at < counted.counted_until
       order by created_at limit 1
    ) as report
   where fallback.sms_message_sid is not null and fallback.sms_delivered_at is null
     and fallback.sms_undelivered_at is null
)
update sms_fallbacks set sms_undelivered_at = reported.created_at, sms_error_code = reported.error_code
  from reported where sms_fallbacks.id = reported.id;

-- Fallbacks that were erased before it was written down: each that has tried to send had a number and a text.
update sms_fallbacks set erased_at = updated_at
 where erased_at is null and state in ('sent', 'skipped', 'failed') and attempt_started_at is not null
   and to_number is null and body is null;
