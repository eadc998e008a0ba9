import { existsSync } from 'node:fs';

/**
 * Reads `.env` of the working directory into `process.env`; what is set already wins.
 * @returns `process.env`
 */
export function loadEnvFile(): NodeJS.ProcessEnv {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return process.env;
}

/** Whether LOG_LEVEL asks for more than an operator needs. For errors that come before the environment is read, too. */
export function asksForDetails(): boolean {
  return /^(debug|verbose)$/i.test(process.env.LOG_LEVEL ?? '');
}
