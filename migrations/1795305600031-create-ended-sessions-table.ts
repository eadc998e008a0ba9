import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateEndedSessionsTable1795305600031 implements MigrationInterface {
  readonly name = 'CreateEndedSessionsTable1795305600031';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_ended_sessions_table.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table if exists ended_sessions');
  }
}
