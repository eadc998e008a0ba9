import type { Command } from 'commander';
import type { Terminal } from '../process/command-line.js';
import type { Surroundings } from './command.js';

export function addMigrate(program: Command, { terminal, end }: Surroundings): void {
  program
    .command('migrate')
    .summary("bring the database's tables and job queue up to date")
    .description(
      'Brings the tables and the job queue of the database up to date.\n\n' +
        'It needs DATABASE_URL only; without it, it uses the embedded database in EMBEDDED_DATA_DIR. It is safe to ' +
        'repeat, and to run from several replicas at once.',
    )
    .option(
      '--new-tables',
      "create the service's own tables, although an application has some elsewhere in the database",
      false,
    )
    .action(async ({ newTables }: MigrateOptions) => {
      await migrate(newTables, terminal);
      end(0);
    });
}

const UNTIL_THEN =
  'The service starts all the same. What it does until then: docs/deploying.md#tables-that-refuse-the-services-rows';

const WITHOUT_TABLES =
  'ORIGINAL_MESSAGES is twilio: the tables messages, conversations, and companies are neither created nor checked.';

interface MigrateOptions {
  readonly newTables: boolean;
}

async function migrate(newTables: boolean, { print, complain }: Terminal): Promise<void> {
  const [
    { DATABASE_VARIABLES, describeDatabase, envVariables },
    { loadEnvFile },
    { parseEnv },
    database,
    migrations,
  ] = await Promise.all([
    import('../config/env.js'),
    import('../config/parse-env.js'),
    import('../config/parse-env.js'),
    import('../database/open-database.js'),
    import('../database/migrate-database.js'),
  ]);
  const env = parseEnv(loadEnvFile(), envVariables.pick(DATABASE_VARIABLES));
  const hint = env.DATABASE_URL === undefined ? ' (DATABASE_URL is not set)' : '';
  print(`Database: ${describeDatabase(env)}${hint}`);
  if (env.ORIGINAL_MESSAGES === 'twilio') print(WITHOUT_TABLES);
  const connection = await database.openDatabase(env);
  try {
    const applied = await migrations.migrateDatabase(connection, {
      newTables,
      onWaiting: (what) => {
        print(`… waiting: ${what}`);
      },
    });
    for (const name of applied) print(`✔ ${name}`);
    print(applied.length > 0 ? 'The database is up to date now.' : 'The database was up to date already.');
    const problems = await migrations.rowProblemsOf(connection);
    for (const { found, remedy } of problems) complain(`⚠ ${found}.\n  ${remedy}.`);
    if (problems.length > 0) complain(UNTIL_THEN);
  } finally {
    await connection.close();
  }
}
