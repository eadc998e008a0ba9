import { Logger } from '@nestjs/common';
import { existsSync } from 'node:fs';
import { DATABASE_VARIABLES, envVariables } from '../config/env.js';
import { loadEnvFile, parseEnv } from '../config/parse-env.js';
import type { DatabaseConnection } from '../database/database-connection.js';
import { type DatabaseVariables, openDatabase } from '../database/open-database.js';
import { StartupError } from '../process/startup-error.js';
import type { Patient } from './examine.js';
import { openOperations, type Operations } from './operations.js';

/** The environment variables that commands read. */
const commandEnvSchema = envVariables.pick({
  ...DATABASE_VARIABLES,
  FALLBACK_ERROR_CODES: true,
  FALLBACK_MAX_AGE_MINUTES: true,
});

/** Opens the operations on the database that the environment names. */
export async function openFromEnvironment(): Promise<Operations> {
  Logger.overrideLogger(false);
  const env = parseEnv(loadEnvFile(), commandEnvSchema);
  const connection = await openServicesDatabase(env);
  try {
    const operations = await openOperations(connection, {
      policyFailureErrorCodes: env.FALLBACK_ERROR_CODES,
      maximumAgeMilliseconds: env.FALLBACK_MAX_AGE_MINUTES * 60_000,
    });
    return {
      ...operations,
      close: async () => {
        await operations.close();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** What the doctor examines in this process. */
export function thisEnvironment(): Patient {
  Logger.overrideLogger(false);
  return { variables: loadEnvFile(), openDatabase: openServicesDatabase };
}

/** The embedded database allows one process: the service, while it runs. */
async function openServicesDatabase(env: DatabaseVariables): Promise<DatabaseConnection> {
  if (env.DATABASE_URL !== undefined) return openDatabase(env);
  const advice = 'Set DATABASE_URL to the database of the service';
  if (!existsSync(env.EMBEDDED_DATA_DIR)) {
    throw new StartupError(
      `${advice}: without it, there is no embedded database in ${env.EMBEDDED_DATA_DIR}.`,
    );
  }
  try {
    return await openDatabase(env);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    throw new StartupError(`${advice}, or stop the service first: ${error.message}`, { cause: error });
  }
}
