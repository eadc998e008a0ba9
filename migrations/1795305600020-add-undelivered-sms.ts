import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class AddUndeliveredSms1795305600020 implements MigrationInterface {
  readonly name = 'AddUndeliveredSms1795305600020';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'add_undelivered_sms.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index if exists sms_fallbacks_undelivered_idx');
    await queryRunner.query(
      `alter table if exists sms_fallbacks
         drop column if exists sms_undelivered_at, drop column if exists sms_error_code`,
    );
  }
}
