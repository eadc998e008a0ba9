import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class AddFallbackErasure1795305600021 implements MigrationInterface {
  readonly name = 'AddFallbackErasure1795305600021';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'add_fallback_erasure.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index if exists sms_fallbacks_not_erased_idx');
    await queryRunner.query('alter table if exists sms_fallbacks drop column if exists erased_at');
  }
}
