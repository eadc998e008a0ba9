-- The application's own tables: created if they do not exist, else checked. Not applied with ORIGINAL_MESSAGES=twilio.

-- They may be in another schema of the search_path than the service's own tables.
do $$
begin
  if to_regclass('companies') is null then
    create table companies (
      id uuid not null default gen_random_uuid(),
      name text,
      phone_number text,
      constraint companies_pkey primary key (id)
    );
  end if;
  if to_regclass('conversations') is null then
    create table conversations (
      id uuid not null default gen_random_uuid(),
      company_id uuid,
      constraint conversations_pkey primary key (id),
      constraint conversations_company_id_fkey foreign key (company_id) references companies (id) on delete set null
    );
  end if;
  if to_regclass('messages') is null then
    create table messages (
      id uuid not null default gen_random_uuid(),
      conversation_id uuid,
      twilio_sid text,
      direction text,
      channel text,
      body text,
      status text,
      created_at timestamptz not null default now(),
      constraint messages_pkey primary key (id),
      constraint messages_twilio_sid_key unique (twilio_sid),
      constraint messages_conversation_id_fkey foreign key (conversation_id) references conversations (id) on delete set null
    );
  end if;
end $$;

-- Checks the columns that the service uses in the application's tables: better to fail here than after an SMS was sent.
do $$
declare
  missing text := (
    select string_agg(needed.name || '.' || needed.attribute, ', ')
    from (values
      ('companies', 'id'), ('companies', 'name'), ('companies', 'phone_number'),
      ('conversations', 'id'), ('conversations', 'company_id'),
      ('messages', 'id'), ('messages', 'conversation_id'), ('messages', 'twilio_sid'), ('messages', 'direction'),
      ('messages', 'channel'), ('messages', 'body'), ('messages', 'status'), ('messages', 'created_at')
    ) as needed (name, attribute)
    where not exists (
      select from pg_attribute
      where attrelid = needed.name::regclass and attname = needed.attribute and not attisdropped
    )
  );
  -- An enum would refuse statuses that Twilio adds later; category S holds the text types.
  not_text text := (
    select string_agg('messages.' || attname, ', ' order by attnum)
    from pg_attribute join pg_type on pg_type.oid = atttypid
    where attrelid = 'messages'::regclass and not attisdropped and typcategory <> 'S'
      and attname in ('twilio_sid', 'direction', 'channel', 'body', 'status')
  );
begin
  if missing is not null then
    raise exception 'the application''s tables lack columns that the service needs: %', missing;
  end if;
  if not_text is not null then
    raise exception 'columns that must be text or varchar, because Twilio adds values: %', not_text;
  end if;
  if not exists (
    select from pg_index
    join pg_attribute on attrelid = indrelid and attnum = indkey[0]
    where indrelid = 'messages'::regclass and attname = 'twilio_sid'
      and indisunique and indnkeyatts = 1 and indpred is null
  ) then
    raise exception 'messages.twilio_sid must be unique: alter table messages add unique (twilio_sid)';
  end if;
end $$;

-- The log names messages by text. An index on another type, such as citext or char(n), does not find text: each callback
-- would read the whole of messages.
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

-- GET /api/v1/message-events?company=… goes from a company to its messages. An empty table costs nothing to index; the owner
-- of a large one indexes it concurrently:
--   create index concurrently messages_conversation_id_idx on messages (conversation_id);
--   create index concurrently conversations_company_id_idx on conversations (company_id);
do $$
begin
  if not exists (select from messages) then
    create index if not exists messages_conversation_id_idx on messages (conversation_id);
  end if;
  -- An application may have a view.
  if not exists (select from conversations)
    and exists (select from pg_class where oid = 'conversations'::regclass and relkind in ('r', 'p')) then
    create index if not exists conversations_company_id_idx on conversations (company_id);
  end if;
end $$;

-- Status polling searches messages by time. An empty table belongs to the service or costs nothing to index; a table with
-- rows belongs to the application, and its owner should index a large one concurrently:
--   create index concurrently messages_created_at_idx on messages (created_at);
do $$
begin
  if not exists (select from messages) then
    create index if not exists messages_created_at_idx on messages (created_at);
  end if;
end $$;
