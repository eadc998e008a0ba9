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

/** Before all others, so that unsuitable tables are refused before anything is created. Reverting it keeps the tables. */
const createApplicationTables = migration(
  'CreateApplicationTables1795996799999',
  'create_application_tables.sql',
  'drop index if exists messages_conversation_id_idx, conversations_company_id_idx, messages_created_at_idx',
);

const linkApplicationTables = migration(
  'LinkApplicationTables1795996800004',
  'link_application_tables.sql',
  `delete from message_poll_watermarks where source = 'messages'`,
);

/** The migrations of the service's own tables, in order. */
const ownMigrations: readonly Migration[] = [
  migration(
    'CreateMessageEventsTable1795996800000',
    'create_message_events_table.sql',
    'drop table if exists message_events, message_event_outbox',
  ),
  migration(
    'CreateSmsFallbacksTable1795996800001',
    'create_sms_fallbacks_table.sql',
    'drop table if exists sms_fallbacks, sms_senders',
  ),
  migration(
    'CreateFollowerTables1795996800002',
    'create_follower_tables.sql',
    'drop table if exists message_event_counts, message_polls, message_poll_watermarks',
  ),
  migration(
    'CreateOperatorTables1795996800003',
    'create_operator_tables.sql',
    'drop table if exists rejected_callbacks, twilio_failures, whatsapp_sms_fallback_heartbeat, ended_sessions',
  ),
];

/** All migrations in order. */
export const migrations: readonly Migration[] = [
  createApplicationTables,
  ...ownMigrations,
  linkApplicationTables,
];

/** Those of a service that uses the application's tables or not. The other ones can be applied later. */
export function migrationsFor({
  applicationTables = true,
}: {
  readonly applicationTables?: boolean | undefined;
}): readonly Migration[] {
  return applicationTables ? migrations : ownMigrations;
}
