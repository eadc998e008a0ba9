import type { DataSource } from 'typeorm';
import { type Finding, ill } from './finding.js';

/** Whether the application's tables are still as the migrations found them. Says nothing where they are. */
export async function* checkMessages(dataSource: DataSource): AsyncGenerator<Finding> {
  const [unsuitable] = await dataSource.query<{ type: string }[]>(WITHOUT_INDEX_FOR_TEXT);
  if (unsuitable === undefined) return;
  yield ill(
    'messages',
    `messages.twilio_sid is ${unsuitable.type} without a unique index that finds text, so each callback reads the whole table`,
    'Make it text or varchar, and unique: alter table messages alter twilio_sid type text',
  );
}

/** As migrations/require_messages_index_for_text.sql has it. */
const WITHOUT_INDEX_FOR_TEXT = `
select format_type(atttypid, atttypmod) as type from pg_attribute
 where attrelid = 'messages'::regclass and attname = 'twilio_sid'
   and not exists (
     select from pg_index join pg_opclass on pg_opclass.oid = indclass[0]
      where indrelid = attrelid and indkey[0] = attnum and indisunique and indnkeyatts = 1 and indpred is null
        and opcintype = 'text'::regtype
   )`;
