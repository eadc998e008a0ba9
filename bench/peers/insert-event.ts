import type { Pool } from 'pg';
import { toEventRow } from './stored-event.entity.js';

const INSERT_EVENT = `
insert into message_events (
  message_sid, message_status, channel, to_number, from_number, error_code, error_message, account_sid, payload
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (message_sid, message_status) do nothing`;

/** Stores a callback. @returns whether it is new. */
export async function insertEvent(
  pool: Pool,
  parameters: Readonly<Record<string, string>>,
): Promise<boolean> {
  const row = toEventRow(parameters);
  const { rowCount } = await pool.query(INSERT_EVENT, [
    row.messageSid,
    row.messageStatus,
    row.channel,
    row.toNumber,
    row.fromNumber,
    row.errorCode,
    row.errorMessage,
    row.accountSid,
    JSON.stringify(row.payload),
  ]);
  return rowCount === 1;
}
