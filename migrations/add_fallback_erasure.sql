-- What becomes of the number and the text of a fallback that is at an end: RETENTION_DAYS and `npm run erase` blank them.
alter table sms_fallbacks add column if not exists erased_at timestamptz;

comment on column sms_fallbacks.erased_at is 'when the number and the text were blanked; nothing can be sent since';

-- The oldest that are at an end and not erased, for RETENTION_DAYS.
create index if not exists sms_fallbacks_not_erased_idx on sms_fallbacks (created_at)
  where erased_at is null and state in ('sent', 'skipped', 'failed');
