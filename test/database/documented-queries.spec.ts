import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { type SeededMessage, seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';

/** The statements in the section Queries, without their comments. */
function queriesOf(page: string): string[] {
  const [, sql = ''] = /^## Queries\n\n```sql\n(.*?)^```$/ms.exec(page) ?? [];
  return sql
    .replace(/^--.*\n/gm, '')
    .split(';\n')
    .filter((query) => query !== '');
}

describe('the documented queries', () => {
  let database: DatabaseConnection;
  let dataSource: DataSource;
  let failed: string;
  let refused: string;
  let replaced: string;
  let original: SeededMessage;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource(dataSourceOptions(database)).initialize();
    original = await seedMessage(dataSource, { body: 'Hello' });
    failed = await addEvent(1, { messageSid: 'SMfailed', channel: 'sms', errorCode: '30003' });
    refused = await addEvent(2, {
      messageSid: original.twilioSid,
      errorCode: '63049',
      errorMessage: 'Meta chose not to deliver it',
    });
    replaced = await addEvent(3, {
      messageSid: 'SMreplaced',
      messageStatus: 'undelivered',
      errorCode: '63049',
      fallbackSmsMessageId: original.id,
    });
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.close();
  });

  async function addEvent(second: number, columns: Partial<MessageEvent>): Promise<string> {
    const { id } = await dataSource.manager.save(MessageEvent, {
      messageStatus: 'failed',
      channel: 'whatsapp',
      accountSid: 'AC1',
      payload: {},
      createdAt: new Date(second * 1_000),
      ...columns,
    });
    return id;
  }

  async function ids(sql: string): Promise<string[]> {
    const rows = await dataSource.query<{ id: string }[]>(sql);
    return rows.map(({ id }) => id);
  }

  it('find the newest events', async () => {
    expect(await ids('SELECT * FROM message_events ORDER BY created_at DESC LIMIT 100;')).toEqual([
      replaced,
      refused,
      failed,
    ]);
  });

  it('find the WhatsApp messages that Meta refused', async () => {
    expect(
      await ids(
        "SELECT * FROM message_events WHERE channel = 'whatsapp' AND message_status = 'failed' AND error_code = '63049';",
      ),
    ).toEqual([refused]);
  });

  it('find the events that led to an SMS', async () => {
    expect(await ids('SELECT * FROM message_events WHERE fallback_sms_message_id IS NOT NULL;')).toEqual([
      replaced,
    ]);
  });

  it('find the failed messages with their errors', async () => {
    const rows = await dataSource.query<unknown[]>(
      `SELECT m.*, me.error_code, me.error_message FROM messages m JOIN message_events me ON m.twilio_sid = me.message_sid
 WHERE me.message_status = 'failed' ORDER BY me.created_at DESC;`,
    );
    expect(rows).toEqual([
      expect.objectContaining({
        id: original.id,
        twilio_sid: original.twilioSid,
        body: 'Hello',
        error_code: '63049',
        error_message: 'Meta chose not to deliver it',
      }),
    ]);
  });

  it('all run', async () => {
    const queries = queriesOf(readFileSync(new URL('../../docs/operating.md', import.meta.url), 'utf8'));
    expect(queries).toHaveLength(8);
    for (const query of queries) await dataSource.query(query);
  });
});
