import { migrations } from '../migrations/migrations.js';
import { dataSourceOptions, entities } from './database/data-source-options.js';
import { migrateDatabase } from './database/migrate-database.js';
import { openDatabase, openMigrated } from './database/open-database.js';

/** The package's entry `./migrations`. */
export { entities, migrations };

export interface MigrationTarget {
  /** The schema of the service's tables. Default: the first one of the role's search_path. */
  readonly schema?: string;
  /** As in the module's options. Default true. */
  readonly applicationTables?: boolean;
}

/**
 * Brings the service's tables and its job queue up to date. Safe to repeat, and to run from several replicas at once.
 * @param url `postgresql://…`
 * @returns the names of the migrations that were applied now.
 * @throws StartupError if the database cannot be used or migrated, with a remedy.
 */
export async function migrate(url: string, target: MigrationTarget = {}): Promise<string[]> {
  return migrateDatabase(await open(url, target));
}

/** @throws StartupError if a migration is missing. */
export async function assertMigrated(url: string, target: MigrationTarget = {}): Promise<void> {
  const dataSource = await openMigrated(dataSourceOptions(await open(url, target)));
  await dataSource.destroy();
}

function open(url: string, { schema, applicationTables }: MigrationTarget) {
  return openDatabase({
    DATABASE_URL: url,
    DATABASE_SCHEMA: schema,
    EMBEDDED_DATA_DIR: '',
    ORIGINAL_MESSAGES: applicationTables === false ? 'twilio' : 'tables',
  });
}
