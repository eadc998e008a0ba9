import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';
import { createEmptyDatabase } from '../support/test-database.js';
import { APPLICATION_TABLES, execute } from './application-tables.js';

describe('the tables of an unsuitable application', () => {
  let database: DatabaseConnection;

  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  afterEach(async () => {
    await database.close();
  });

  it('are refused by the migration if columns are missing, and it names them', async () => {
    await execute(
      database,
      'create table messages (id bigserial primary key, twilio_sid text unique, text text)',
    );
    await expect(migrateDatabase(database)).rejects.toThrow(
      'lack columns that the service needs: messages.conversation_id, messages.direction, messages.channel, messages.body, messages.status, messages.created_at',
    );
  });

  it('are refused by the migration if the type of a text cannot hold every value', async () => {
    await execute(database, "create type message_status as enum ('queued', 'sent', 'delivered')");
    await execute(database, APPLICATION_TABLES);
    await execute(database, 'alter table messages alter status type message_status using null');
    await expect(migrateDatabase(database)).rejects.toThrow(
      'columns that must be text or varchar, because Twilio adds values: messages.status',
    );
    await execute(database, 'alter table messages alter status type varchar(40) using null');
    expect(await migrateDatabase(database)).not.toEqual([]);
  });

  it('are refused by the migration if messages.twilio_sid is not unique', async () => {
    const notUnique = APPLICATION_TABLES.replace('varchar(34) unique', 'varchar(34)');
    await execute(database, notUnique);
    await expect(migrateDatabase(database)).rejects.toThrow('messages.twilio_sid must be unique');
    await execute(database, 'create unique index only_some on messages (twilio_sid) where body is not null');
    await expect(migrateDatabase(database)).rejects.toThrow('messages.twilio_sid must be unique');
    await execute(database, 'create unique index on messages (twilio_sid)');
    expect(await migrateDatabase(database)).not.toEqual([]);
  });

  // The embedded database has no extensions.
  const onServer = process.env.TEST_DATABASE_URL === undefined ? [] : ['citext'];

  it.each(['character(34)', ...onServer])(
    'are refused by the migration if messages.twilio_sid is %s, whose index does not find text',
    async (type) => {
      if (type === 'citext') await execute(database, 'create extension citext');
      await execute(database, APPLICATION_TABLES.replace('twilio_sid varchar(34)', `twilio_sid ${type}`));
      await expect(migrateDatabase(database)).rejects.toThrow(
        `messages.twilio_sid must be text or varchar, because an index of ${type} does not find text: alter table messages alter twilio_sid type text`,
      );
      await execute(database, 'alter table messages alter twilio_sid type text');
      expect(await migrateDatabase(database)).toContain('CreateMessageEventsTable1795996800000');
    },
  );
});
