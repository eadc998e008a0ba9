-- What the operators' API looks things up by. Creating an index keeps callbacks waiting while it lasts: on a table with
-- millions of rows, create those of message_events and sms_fallbacks under the same names with `create index concurrently`
-- before, and this file finds them there.

-- GET /api/v1/message-events?number=…, and erasing a number.
create index if not exists message_events_to_number_idx on message_events (to_number, created_at)
  where to_number is not null;
-- GET /api/v1/message-events?channel=…&status=…, the newest first. It has the id so that the page is found in the index
-- alone; otherwise the planner would rather walk through created_at, for seconds where a status is rare.
create index if not exists message_events_channel_status_idx
  on message_events (channel, message_status, created_at, id);
-- GET /api/v1/fallbacks?state=…, the newest first.
create index if not exists sms_fallbacks_state_idx on sms_fallbacks (state, created_at, id);
-- GET /api/v1/fallbacks?number=…, and erasing a number.
create index if not exists sms_fallbacks_to_number_idx on sms_fallbacks (to_number) where to_number is not null;

-- GET /api/v1/message-events?company=…: from a company to its messages. Where the tables are the application's and have
-- rows, it is better to create them concurrently, by whoever knows them:
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
