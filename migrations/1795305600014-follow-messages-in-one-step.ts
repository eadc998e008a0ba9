import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class FollowMessagesInOneStep1795305600014 implements MigrationInterface {
  readonly name = 'FollowMessagesInOneStep1795305600014';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'follow_messages_in_one_step.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_record_message_events_function.sql');
    await queryRunner.query('drop function if exists store_message_events(jsonb, text[], text[])');
  }
}
