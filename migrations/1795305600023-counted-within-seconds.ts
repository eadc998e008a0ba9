import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CountedWithinSeconds1795305600023 implements MigrationInterface {
  readonly name = 'CountedWithinSeconds1795305600023';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'counted_within_seconds.sql');
  }

  async down(): Promise<void> {
    // The columns go with the migrations that added them.
  }
}
