import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class ReportOutages1795305600026 implements MigrationInterface {
  readonly name = 'ReportOutages1795305600026';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'report_outages.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table if exists twilio_failures');
    await queryRunner.query('alter table if exists sms_fallbacks drop column if exists due_since');
  }
}
