import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class DecideBeforeSending1795305600025 implements MigrationInterface {
  readonly name = 'DecideBeforeSending1795305600025';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'decide_before_sending.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'follow_messages_in_one_step.sql');
    await runSqlFile(queryRunner, 'look_for_messages_first.sql');
    await queryRunner.query(
      `alter table if exists message_events
         drop column if exists user_id, drop column if exists parent_user_id`,
    );
    await queryRunner.query(
      `alter table if exists sms_fallbacks
         drop column if exists user_id, drop column if exists parent_user_id,
         drop column if exists original_sent_at, drop column if exists age_limit_ignored,
         drop column if exists encoding, drop column if exists segments,
         drop column if exists not_carried_over, drop column if exists earlier_attempts,
         drop column if exists duplicate_of`,
    );
  }
}
