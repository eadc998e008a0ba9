import { Logger } from '@nestjs/common';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { type Env, envVariables } from '../config/env.js';
import { parseEnv } from '../config/parse-env.js';
import { loadEnvFile } from '../config/load-env-file.js';
import type { DatabaseConnection } from '../database/database-connection.js';
import { openDatabase } from '../database/open-database.js';
import { exitWithError, StartupError } from '../process/startup-error.js';
import { type Command, execute, type Terminal } from './command.js';
import { type Operations, openOperations } from './operations.js';

/** All that the commands read of the environment. */
const commandEnvSchema = envVariables.pick({
  DATABASE_URL: true,
  EMBEDDED_DATA_DIR: true,
  FALLBACK_ERROR_CODES: true,
  FALLBACK_MAX_AGE_MINUTES: true,
});

/** The main program of a command. */
export async function runCommand<Options>(command: Command<Options>): Promise<void> {
  Logger.overrideLogger(false);
  // A reader such as `head` has seen enough.
  process.stdout.once('error', () => process.exit(0));
  try {
    process.exitCode = await execute(command, process.argv.slice(2), open, terminal());
  } catch (error) {
    exitWithError(explained(error));
  }
}

async function open(): Promise<Operations> {
  loadEnvFile();
  const env = parseEnv(process.env, commandEnvSchema);
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

/** The embedded database has one process, and that is the service while it runs. */
export async function openServicesDatabase(
  env: Pick<Env, 'DATABASE_URL' | 'EMBEDDED_DATA_DIR'>,
): Promise<DatabaseConnection> {
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

export function terminal(): Terminal {
  return {
    print: (text) => {
      console.log(text);
    },
    complain: (text) => {
      console.error(text);
    },
    ...(process.stdin.isTTY && process.stdout.isTTY && { confirm }),
  };
}

async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

/** A stack tells the operator nothing; what is not foreseen is most often the database's. */
function explained(error: unknown): unknown {
  if (!(error instanceof Error) || error.name === 'StartupError' || error.name === 'EnvironmentError')
    return error;
  return new StartupError(
    `It was not done, or not all of it: ${error.message || error.name}. It is safe to repeat.`,
    {
      cause: error,
    },
  );
}
