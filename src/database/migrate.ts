import { envVariables } from '../config/env.js';
import { parseEnv } from '../config/parse-env.js';
import { loadEnvFile } from '../config/load-env-file.js';
import { exitWithError } from '../process/startup-error.js';
import { openDatabase } from './open-database.js';
import { assertRows, migrateDatabase } from './migrate-database.js';

/** For tables of the service's own, although an application has some elsewhere in the database. */
const newTables = process.argv.includes('--new-tables');

/** `npm run migrate`: needs nothing of the environment but the database. */
try {
  loadEnvFile();
  const env = parseEnv(process.env, envVariables.pick({ DATABASE_URL: true, EMBEDDED_DATA_DIR: true }));
  const connection = await openDatabase(env);
  try {
    const applied = await migrateDatabase(connection, {
      newTables,
      onWaiting: (what) => {
        console.error(`… waiting: ${what}`);
      },
    });
    for (const name of applied) console.log(`✔ ${name}`);
    console.log(
      applied.length > 0 ? 'The database is up to date now.' : 'The database was up to date already.',
    );
    await assertRows(connection);
  } finally {
    await connection.close();
  }
} catch (error) {
  exitWithError(error);
}
