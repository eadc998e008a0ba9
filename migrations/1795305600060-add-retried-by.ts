import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who asked for another try of a fallback. */
export class AddRetriedBy1795305600060 implements MigrationInterface {
  readonly name = 'AddRetriedBy1795305600060';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table sms_fallbacks add column if not exists retried_by text');
    await queryRunner.query(
      `comment on column sms_fallbacks.retried_by is
         'who last asked for another try: key:<name of the API key>, or cli:<user>@<host>'`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('alter table if exists sms_fallbacks drop column if exists retried_by');
  }
}
