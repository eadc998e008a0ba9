import { DataSource } from 'typeorm';
import { DATABASE_VARIABLES, envVariables } from './src/config/env.js';
import { loadEnvFile, parseEnv } from './src/config/parse-env.js';
import { dataSourceOptions, migrationPoolOptions } from './src/database/data-source-options.js';
import { openDatabase } from './src/database/open-database.js';
import { exitWithError } from './src/process/startup-error.js';

const LOCK_TIMEOUT_MILLISECONDS = 1_000;

/** For TypeORM's own command line, after a build: `npx typeorm migration:show -d dist/ormconfig.js`. */
export default await openForCommandLine().catch(exitWithError);

async function openForCommandLine(): Promise<DataSource> {
  const env = parseEnv(loadEnvFile(), envVariables.pick(DATABASE_VARIABLES));
  const connection = await openDatabase(env);
  const dataSource = new DataSource({
    ...dataSourceOptions(connection),
    // Its statements take their time, but wait for no lock for long: the application waits behind them.
    extra: migrationPoolOptions(connection, LOCK_TIMEOUT_MILLISECONDS),
    logger: 'advanced-console',
  });
  const destroy = dataSource.destroy.bind(dataSource);
  dataSource.destroy = async () => {
    await destroy();
    await connection.close();
  };
  return dataSource;
}
