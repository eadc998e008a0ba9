import { existsSync } from 'node:fs';

/**
 * Reads `.env` in the working directory into `process.env`; variables that are already set win.
 * @returns `process.env`
 */
export function loadEnvFile(): NodeJS.ProcessEnv {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return process.env;
}

/** Whether LOG_LEVEL asks for debug output. Works before the environment is parsed. */
export function asksForDetails(): boolean {
  return /^(debug|verbose)$/i.test(process.env.LOG_LEVEL ?? '');
}
