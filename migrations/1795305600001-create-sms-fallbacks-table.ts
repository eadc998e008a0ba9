import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateSmsFallbacksTable1795305600001 implements MigrationInterface {
  readonly name = 'CreateSmsFallbacksTable1795305600001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_sms_fallbacks_table.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table if exists sms_fallbacks');
  }
}
