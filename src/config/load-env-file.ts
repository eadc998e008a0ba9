import { existsSync } from 'node:fs';

/** Reads `.env` of the working directory into `process.env`; what is set already wins. */
export function loadEnvFile(): void {
  if (existsSync('.env')) process.loadEnvFile('.env');
}
