import type { DataSource } from 'typeorm';
import { followingDelay, LONGEST_DELAY } from '../follower/event-outbox.js';
import { type Finding, ill, well } from './finding.js';

/** Checks that the application's tables are still as the migrations found them. Silent if so. */
export async function* checkMessages(dataSource: DataSource): AsyncGenerator<Finding> {
  const [unsuitable] = await dataSource.query<{ type: string }[]>(WITHOUT_INDEX_FOR_TEXT);
  if (unsuitable === undefined) return;
  yield ill(
    'messages',
    `messages.twilio_sid is ${unsuitable.type} without a unique index for text, so each callback reads the whole table`,
    'Make it text or varchar, and unique: alter table messages alter twilio_sid type text',
  );
}

/** The same check as in migrations/create_message_events_table.sql. */
const WITHOUT_INDEX_FOR_TEXT = `
select format_type(atttypid, atttypmod) as type from pg_attribute
 where attrelid = 'messages'::regclass and attname = 'twilio_sid'
   and not exists (
     select from pg_index join pg_opclass on pg_opclass.oid = indclass[0]
      where indrelid = attrelid and indkey[0] = attnum and indisunique and indisvalid and indnkeyatts = 1 and indpred is null
        and opcintype = 'text'::regtype
   )`;

/** Checks that event counting, the basis of the statistics, keeps up. */
export async function* checkCounting(dataSource: DataSource): AsyncGenerator<Finding> {
  const seconds = await followingDelay(dataSource);
  if (seconds <= LONGEST_DELAY) {
    yield well('statistics', 'events are counted');
    return;
  }
  yield ill(
    'statistics',
    `event counting has been stalled for ${Math.round(seconds / 60)} minutes: old events are kept, and statistics are slow`,
    'Start the service; if it runs, see docs/runbook.md#countingbehind',
  );
}
