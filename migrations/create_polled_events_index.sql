-- "What Twilio had to be asked for", the newest first (README). Few events are, so it is small, and a callback costs
-- nothing more. Creating it keeps callbacks waiting while it lasts: on a table with millions of rows, create it under the
-- same name with `create index concurrently` before, and this file finds it there.
create index if not exists message_events_polled_idx on message_events (created_at)
  where source = 'poll';
