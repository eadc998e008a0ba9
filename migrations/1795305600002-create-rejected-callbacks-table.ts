import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateRejectedCallbacksTable1795305600002 implements MigrationInterface {
  readonly name = 'CreateRejectedCallbacksTable1795305600002';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_rejected_callbacks_table.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table if exists rejected_callbacks');
  }
}
