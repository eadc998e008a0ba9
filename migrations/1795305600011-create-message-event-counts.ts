import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateMessageEventCounts1795305600011 implements MigrationInterface {
  readonly name = 'CreateMessageEventCounts1795305600011';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_message_event_counts.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table if exists message_event_counts, message_event_count_watermark');
    await queryRunner.query('drop index if exists sms_fallbacks_outcomes_idx');
    await queryRunner.query('alter table if exists sms_fallbacks drop column if exists sms_delivered_at');
  }
}
