import { DataSource, type DataSourceOptions } from 'typeorm';
import { assertMigrated } from './migrate-database.js';

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
