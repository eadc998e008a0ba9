import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CompleteFallbacks1795305600022 implements MigrationInterface {
  readonly name = 'CompleteFallbacks1795305600022';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'complete_fallbacks.sql');
  }

  async down(): Promise<void> {
    // The columns go with the migrations that added them.
  }
}
