import { Logger } from '@nestjs/common';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { assertMigrated } from './migrate-database.js';
import { type Problem, type Query, rowProblems } from './preconditions.js';

/** TypeOrmModule's `dataSourceFactory`. @throws StartupError when a migration is missing. */
export async function openMigrated(options?: DataSourceOptions): Promise<DataSource> {
  if (options === undefined) throw new TypeError('TypeORM was given no options');
  const dataSource = await new DataSource(options).initialize();
  try {
    await assertMigrated(dataSource);
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

/**
 * TypeOrmModule's `dataSourceFactory` for the service. If the application's tables refuse its rows, it logs that and
 * starts anyway, because the log and the SMS do not depend on them.
 * @throws StartupError when a migration is missing.
 */
export async function openForService(options?: DataSourceOptions): Promise<DataSource> {
  const dataSource = await openMigrated(options);
  const logger = new Logger('Database');
  try {
    for (const { found, remedy } of await rowProblemsWith(dataSource)) {
      logger.warn('The tables of the application refuse what the service does with them', { found, remedy });
    }
  } catch (error) {
    logger.debug('The tables of the application could not be tried', { error: String(error) });
  }
  return dataSource;
}

export async function rowProblemsWith(dataSource: DataSource): Promise<Problem[]> {
  const runner = dataSource.createQueryRunner();
  try {
    const query: Query = <Row>(sql: string, parameters?: unknown[]) =>
      runner.query(sql, parameters) as Promise<Row[]>;
    return await rowProblems(query);
  } finally {
    await runner.release();
  }
}
