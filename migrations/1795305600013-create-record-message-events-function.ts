import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateRecordMessageEventsFunction1795305600013 implements MigrationInterface {
  readonly name = 'CreateRecordMessageEventsFunction1795305600013';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_record_message_events_function.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop function if exists record_message_events(jsonb, text[], text[])');
  }
}
