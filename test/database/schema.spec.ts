import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';

describe('the migrated schema', () => {
  let database: DatabaseConnection;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource(dataSourceOptions(database)).initialize();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.close();
  });

  async function addEvent(columns: Partial<MessageEvent>): Promise<string> {
    const { id } = await dataSource.manager.save(MessageEvent, {
      messageStatus: 'failed',
      channel: 'whatsapp',
      accountSid: 'AC1',
      payload: {},
      ...columns,
    });
    return id;
  }

  it('matches the entities, index by index and constraint by constraint', async () => {
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  it('differs from the entities if an index is missing', async () => {
    await dataSource.query('drop index message_events_failures_idx');
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries).toHaveLength(1);
    const [missing] = upQueries;
    expect(missing?.query).toContain('message_events_failures_idx');
    await dataSource.query(missing?.query ?? '');
  });

  it('names every constraint', async () => {
    const rows = await dataSource.query<{ name: string }[]>(
      `select conname as name from pg_constraint
        where contype <> 'n' and conrelid in (
          'message_events'::regclass, 'sms_fallbacks'::regclass, 'rejected_callbacks'::regclass,
          'messages'::regclass, 'conversations'::regclass, 'companies'::regclass, 'message_event_counts'::regclass,
          'message_event_outbox'::regclass, 'sms_senders'::regclass)
        order by conname collate "C"`,
    );
    expect(rows.map(({ name }) => name)).toEqual([
      'companies_pkey',
      'conversations_company_id_fkey',
      'conversations_pkey',
      'message_event_counts_pkey',
      'message_event_counts_unit_check',
      'message_event_outbox_pkey',
      'message_events_message_sid_message_status_key',
      'message_events_pkey',
      'messages_conversation_id_fkey',
      'messages_pkey',
      'messages_twilio_sid_key',
      'rejected_callbacks_pkey',
      'sms_fallbacks_original_message_sid_key',
      'sms_fallbacks_pkey',
      'sms_fallbacks_reason_check',
      'sms_fallbacks_sms_message_sid_key',
      'sms_fallbacks_state_check',
      'sms_senders_pkey',
    ]);
  });

  it('allows one event for each status of a message', async () => {
    await addEvent({ messageSid: 'SMtwice' });
    await expect(addEvent({ messageSid: 'SMtwice' })).rejects.toMatchObject({
      constraint: 'message_events_message_sid_message_status_key',
    });
    await addEvent({ messageSid: 'SMtwice', messageStatus: 'undelivered' });
  });

  it('keeps the events of a deleted message', async () => {
    const original = await seedMessage(dataSource);
    const sms = await seedMessage(dataSource);
    const id = await addEvent({
      messageSid: original.twilioSid,
      fallbackSmsMessageId: sms.id,
    });
    await dataSource.query('delete from messages where id in ($1, $2)', [original.id, sms.id]);
    expect(
      await dataSource.query('select fallback_sms_message_id from message_events where id = $1', [id]),
    ).toEqual([{ fallback_sms_message_id: sms.id }]);
  });
});
