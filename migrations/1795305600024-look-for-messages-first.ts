import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class LookForMessagesFirst1795305600024 implements MigrationInterface {
  readonly name = 'LookForMessagesFirst1795305600024';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'look_for_messages_first.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'follow_messages_in_one_step.sql');
    await queryRunner.query(
      'drop function if exists known_message_sids(text[]), add_unlinked_message_events(jsonb)',
    );
  }
}
