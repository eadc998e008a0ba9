-- Links the service's tables to the application's. Not applied with ORIGINAL_MESSAGES=twilio.

-- The links to the row of an SMS have the type of messages.id. They are hints without a foreign key: no lock, trigger, or
-- type of the application's tables can affect the log. A new column instead of another type, because that would rewrite
-- the table: links to rows of another type lead nowhere.
do $$
declare
  id_type text := (
    select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = 'messages'::regclass and attname = 'id'
  );
  link record;
begin
  for link in
    select own.name, own.attribute
    from (values ('message_events', 'fallback_sms_message_id'), ('sms_fallbacks', 'message_id')) as own (name, attribute)
    join pg_attribute on attrelid = own.name::regclass and attname = own.attribute
    where format_type(atttypid, atttypmod) <> id_type
  loop
    execute format('alter table %I drop column %I', link.name, link.attribute);
    execute format('alter table %I add column %I %s', link.name, link.attribute, id_type);
  end loop;
end $$;

-- Dropped with its column if the type differs.
create index if not exists message_events_fallback_sms_message_id_idx on message_events (fallback_sms_message_id)
  where fallback_sms_message_id is not null;

comment on column sms_fallbacks.message_id is 'the row of messages of the SMS';

-- Start with messages from now on. An SMS for each older message would be a surprise.
insert into message_poll_watermarks (source, created_at)
values ('messages', now())
on conflict (source) do nothing;
