import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreatePolledEventsIndex1795305600012 implements MigrationInterface {
  readonly name = 'CreatePolledEventsIndex1795305600012';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_polled_events_index.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('drop index if exists message_events_polled_idx');
  }
}
