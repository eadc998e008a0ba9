import { existsSync } from 'node:fs';
import { demoAccount } from './demo-account.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment and adds the variables of `.env` in the working directory that are not set yet. An empty
 * variable counts as unset, as for the service.
 */
export function readEnvironment(): Environment {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== ''));
}

/**
 * Returns the auth tokens by account SID, the main account first: TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, then those
 * of TWILIO_SUBACCOUNTS (`ACxxx:token,ACyyy:token`). Default: the demo account.
 */
export function accountsOf(environment: Environment): ReadonlyMap<string, string> {
  const main = [environment['TWILIO_ACCOUNT_SID'] ?? '', environment['TWILIO_AUTH_TOKEN'] ?? ''];
  const others = (environment['TWILIO_SUBACCOUNTS'] ?? '')
    .split(',')
    .map((account) => account.trim().split(':'));
  const accounts = new Map<string, string>();
  for (const [sid, token] of [main, ...others]) if (sid && token) accounts.set(sid, token);
  return accounts.size > 0 ? accounts : new Map([[demoAccount.sid, demoAccount.authToken]]);
}

/** The origin of the service on this computer, e.g. `http://localhost:3000`. */
export function localOrigin(environment: Environment): string {
  return `http://localhost:${environment['PORT'] ?? '3000'}`;
}
