import { existsSync } from 'node:fs';
import type { z } from 'zod';

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

/** The environment is incomplete or malformed. The message names variables, never values. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

/**
 * Reads the service's configuration from a record such as `process.env`.
 * Trims white space around values; an empty variable counts as not set.
 * @param schema `envSchema`, or the part of `envVariables` that a command needs.
 * @throws EnvironmentError that names every missing or malformed variable.
 */
export function parseEnv<Schema extends z.ZodObject>(
  record: Readonly<Record<string, string | undefined>>,
  schema: Schema,
): z.output<Schema> {
  const set = Object.entries(record)
    // A secret from a file often ends with a line feed.
    .map(([name, value]) => [name, value?.trim() ?? ''] as const)
    .filter(([, value]) => value !== '');
  const result = schema.safeParse(Object.fromEntries(set));
  if (result.success) return result.data;
  const problems = new Map<string, string>();
  for (const issue of result.error.issues) {
    const name = String(issue.path[0]);
    problems.set(
      name,
      problems.get(name) ??
        describe(
          name,
          issue,
          set.some(([key]) => key === name),
        ),
    );
  }
  throw new EnvironmentError(
    [
      'The environment is not complete:',
      ...problems.values(),
      'Each variable is explained in .env.example.',
    ].join('\n'),
  );
}

function describe(name: string, issue: z.core.$ZodIssue, isSet: boolean): string {
  if (!isSet) return `  ${name} is required and not set`;
  const expectations: Record<string, string> = {
    TWILIO_SUBACCOUNTS: 'must be pairs of account SID and token: ACxxx:token,ACyyy:token',
    TWILIO_WEBHOOK_SHARED_KEYS:
      'must be pairs of key ID and secret: webhooks_sharedkey_xxx:secret,webhooks_sharedkey_yyy:secret',
    FALLBACK_ERROR_CODES: 'must be error codes separated by commas: 63049,63024',
    PUBLIC_BASE_URL: 'must be the https origin that Twilio calls, without a query: https://hooks.example.com',
    TWILIO_API_BASE_URL: 'must be an http or https URL without a query',
    FALLBACK_MAX_AGE_MINUTES: 'must be a number of minutes above 0, up to 43200',
    FALLBACK_HOLD_SECONDS: 'must be a number of seconds from 0 to 3600; 0 switches it off',
    FALLBACK_DUPLICATE_WINDOW_SECONDS: 'must be a number of seconds from 0 to 86400; 0 switches it off',
    SMS_PER_SECOND: 'must be a number of SMS per second from 0 to 10000, e.g. 0.5; 0 sets no limit',
    STATUS_POLL_AFTER_MINUTES: 'must be a number of minutes from 0 to 1440; 0 switches it off',
    WORKER_CONCURRENCY: 'must be a whole number from 0 to 100; 0 makes this process publish only',
    RETENTION_DAYS: 'must be a whole number of days from 3 to 36500',
    ADMIN_API_KEYS:
      'must be keys of at least 24 characters, separated by commas, each optionally after a name: alice:key',
    PORT: 'must be a port number from 0 to 65535',
  };
  // Our own checks have their own messages.
  return `  ${name} ${issue.code === 'custom' ? issue.message : (expectations[name] ?? issue.message)}`;
}
