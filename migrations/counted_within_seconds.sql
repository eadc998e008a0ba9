-- Events are counted some seconds after they came, and no longer a minute: what the two columns say of it.
comment on column sms_fallbacks.sms_delivered_at is
  'when the SMS was reported as delivered; set when that event is counted, some seconds later';
comment on column sms_fallbacks.sms_undelivered_at is
  'when the SMS was reported as failed or undelivered; set when that event is counted, some seconds later';
