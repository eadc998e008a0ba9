import { DataSource } from 'typeorm';
import { envSchema } from './src/config/env.js';
import { parseEnv } from './src/config/parse-env.js';
import { loadEnvFile } from './src/config/load-env-file.js';
import { dataSourceOptions } from './src/database/data-source-options.js';
import { openDatabase } from './src/database/open-database.js';

loadEnvFile();
const env = parseEnv(process.env, envSchema.pick({ DATABASE_URL: true, EMBEDDED_DATA_DIR: true }));

/** For TypeORM's own command line, e.g. `npx typeorm migration:show -d dist/ormconfig.js` after a build. */
export default new DataSource(dataSourceOptions(await openDatabase(env)));
