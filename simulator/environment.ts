import { existsSync } from 'node:fs';
import { demoAccount } from './demo-account.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment, with what `.env` in the working directory adds to it; what is set already stays. For the service an empty
 * variable is not set, and so it is here.
 */
export function readEnvironment(): Environment {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== ''));
}

/**
 * Auth tokens by account SID, the main account first: TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, then those of
 * TWILIO_SUBACCOUNTS (`ACxxx:token,ACyyy:token`). The demo account where the environment names none.
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

/** Where the service listens on this computer, e.g. `http://localhost:3000`. */
export function localOrigin(environment: Environment): string {
  return `http://localhost:${environment['PORT'] ?? '3000'}`;
}
