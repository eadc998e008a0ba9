import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class RequireMessagesIndexForText1795305600015 implements MigrationInterface {
  readonly name = 'RequireMessagesIndexForText1795305600015';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'require_messages_index_for_text.sql');
  }

  async down(): Promise<void> {
    // It has changed nothing.
  }
}
