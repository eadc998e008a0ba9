import { readFile } from 'node:fs/promises';
import type { QueryRunner } from 'typeorm';

/** Runs a .sql file of this folder, the same one that an operator may apply with psql. */
export async function runSqlFile(queryRunner: QueryRunner, fileName: string): Promise<void> {
  await queryRunner.query(await readFile(new URL(fileName, import.meta.url), 'utf8'));
}
