import { describe, expect, it } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('../../src/', import.meta.url));
const WRITE = /\b(?:insert into|delete from|update) ([a-z_]+)\b/g;

/** An event and its row in the outbox are added by one statement, and the follower takes the row out. */
const OUTBOX_WRITERS = ['follower/event-outbox.ts', 'message-events/message-events.store.ts'];

/** Lists the files that have a statement that writes a table, by table. */
async function writers(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const file of (await readdir(SOURCES, { recursive: true })).sort()) {
    if (!file.endsWith('.ts')) continue;
    const text = await readFile(join(SOURCES, file), 'utf8');
    for (const table of new Set([...text.matchAll(WRITE)].map(([, name = '']) => name))) {
      found.set(table, [...(found.get(table) ?? []), file]);
    }
  }
  return found;
}

describe('a table of the service', () => {
  it.each([
    ['message_events', ['message-events/message-events.store.ts']],
    ['message_event_outbox', OUTBOX_WRITERS],
    ['message_event_counts', ['follower/event-counts.ts']],
    ['message_polls', ['status-polling/message-polls.store.ts']],
    ['message_poll_watermarks', ['status-polling/message-polls.store.ts']],
    ['rejected_callbacks', ['webhooks/rejected-callbacks.store.ts']],
    ['sms_fallbacks', ['fallback/fallback.sql.ts']],
    ['sms_senders', ['fallback/sender-pace.ts']],
    ['twilio_failures', ['twilio/twilio-outages.ts']],
    ['ended_sessions', ['operations/admin-sessions.ts']],
    ['messages', ['messages/application-tables.ts']],
  ])('has one writer: %s', async (table, files) => {
    expect((await writers()).get(table)).toEqual(files);
  });
});
