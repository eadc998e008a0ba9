import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateMessagePollsTable1795305600003 implements MigrationInterface {
  readonly name = 'CreateMessagePollsTable1795305600003';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_message_polls_table.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table if exists message_polls, message_poll_watermarks');
    await queryRunner.query('drop index if exists messages_created_at_idx');
  }
}
