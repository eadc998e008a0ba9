import type { MigrationInterface, QueryRunner } from 'typeorm';
import { runSqlFile } from './sql-file-migration.js';

export class CreateOperationsIndexes1795305600010 implements MigrationInterface {
  readonly name = 'CreateOperationsIndexes1795305600010';

  async up(queryRunner: QueryRunner): Promise<void> {
    await runSqlFile(queryRunner, 'create_operations_indexes.sql');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `drop index if exists message_events_to_number_idx, message_events_channel_status_idx,
         sms_fallbacks_state_idx, sms_fallbacks_to_number_idx, messages_conversation_id_idx,
         conversations_company_id_idx`,
    );
  }
}
