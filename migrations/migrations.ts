import { readFile } from 'node:fs/promises';
import type { MigrationInterface, QueryRunner } from 'typeorm';

type Migration = new () => MigrationInterface;

/**
 * Makes a migration that applies a .sql file of this folder, the same one that an operator may apply with psql.
 * @param name ends with a time in milliseconds since 1970, by which TypeORM orders migrations.
 * @param down the SQL that reverts it.
 */
function migration(name: string, file: string, down: string): Migration {
  const SqlFile = class implements MigrationInterface {
    readonly name = name;

    async up(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.query(await readFile(new URL(file, import.meta.url), 'utf8'));
    }

    async down(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.query(down);
    }
  };
  Object.defineProperty(SqlFile, 'name', { value: name });
  return SqlFile;
}

/** All migrations in order. Reverting them keeps the application's tables. */
export const migrations: readonly Migration[] = [
  migration(
    'CreateMessageEventsTable1795996800000',
    'create_message_events_table.sql',
    `drop table if exists message_events, message_event_outbox;
     drop index if exists messages_conversation_id_idx, conversations_company_id_idx`,
  ),
  migration(
    'CreateSmsFallbacksTable1795996800001',
    'create_sms_fallbacks_table.sql',
    'drop table if exists sms_fallbacks, sms_senders',
  ),
  migration(
    'CreateFollowerTables1795996800002',
    'create_follower_tables.sql',
    `drop table if exists message_event_counts, message_polls, message_poll_watermarks;
     drop index if exists messages_created_at_idx`,
  ),
  migration(
    'CreateOperatorTables1795996800003',
    'create_operator_tables.sql',
    'drop table if exists rejected_callbacks, twilio_failures, whatsapp_sms_fallback_heartbeat, ended_sessions',
  ),
];
