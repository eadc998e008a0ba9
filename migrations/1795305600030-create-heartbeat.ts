import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateHeartbeat1795305600030 implements MigrationInterface {
  readonly name = 'CreateHeartbeat1795305600030';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_heartbeat.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop table if exists whatsapp_sms_fallback_heartbeat');
  }
}
