-- The log names messages by text. What is compared with that must be looked up by the index: text in a citext or a char(n)
-- is not, and so each callback would read the whole of messages.
do $$
declare
  unsuitable text := (
    select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = 'messages'::regclass and attname = 'twilio_sid'
      and not exists (
        select from pg_index join pg_opclass on pg_opclass.oid = indclass[0]
        where indrelid = attrelid and indkey[0] = attnum and indisunique and indisvalid and indnkeyatts = 1 and indpred is null
          and opcintype = 'text'::regtype
      )
  );
begin
  if unsuitable is not null then
    raise exception 'messages.twilio_sid must be text or varchar, because an index of % does not find text: alter table messages alter twilio_sid type text',
      unsuitable;
  end if;
end $$;
