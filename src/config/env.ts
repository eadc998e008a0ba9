import { Module } from '@nestjs/common';
import { isIP, isIPv6 } from 'node:net';
import { z } from 'zod';
import { DatabaseUrlError, parseDatabaseUrl } from './database-url.js';
import { parseEnv } from './parse-env.js';

/** Nest's level names. `info` is accepted too, because most operators write it. */
const LOG_LEVELS = ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'] as const;

/** The recipient blocked the sender or opted out. Source: Twilio's error page 63014. */
const OPTED_OUT = '63014';

const accountSid = z.string().regex(/^AC[0-9a-zA-Z]+$/, 'must be an account SID (AC…)');
const authToken = z.string().min(1, 'must not be empty');
const phoneNumber = z
  .string()
  .regex(/^\+[1-9]\d{5,14}$/, 'must be a phone number in E.164, e.g. +15551234567');

const subaccounts = z
  .string()
  .transform((value) => value.split(',').map((pair) => pair.trim().split(':')))
  .pipe(z.array(z.tuple([accountSid, authToken])))
  .transform((pairs) => pairs.map(([sid, token]) => ({ accountSid: sid, authToken: token })))
  .refine(
    (accounts) => new Set(accounts.map((account) => account.accountSid)).size === accounts.length,
    'must name each account once',
  );

/** Twilio shows the ID with this prefix. Source: docs, usage/webhooks/webhook-settings (public beta). */
const SHARED_KEY_PREFIX = 'webhooks_sharedkey_';

/** Pairs `keyId:secret`. A secret may contain colons, but no comma. */
const webhookSharedKeys = z
  .string()
  .transform((value) =>
    value.split(',').map((pair) => {
      const [keyId = '', ...secret] = pair.split(':');
      return { keyId: keyId.trim(), secret: secret.join(':').trim() };
    }),
  )
  .pipe(z.array(z.object({ keyId: z.string().regex(/^[\x21-\x7e]+$/), secret: z.string().min(1) })))
  .refine((keys) => new Set(keys.map(({ keyId }) => keyId)).size === keys.length, 'must name each key once')
  // The log and the doctor show the ID.
  .refine(
    (keys) => !keys.some(({ secret }) => secret.startsWith(SHARED_KEY_PREFIX)),
    'must have the ID of each key before its secret',
  );

const errorCodes = z
  .string()
  .transform((value) => value.split(',').map((code) => code.trim()))
  .pipe(z.array(z.string().regex(/^\d+$/)))
  .refine(
    (codes) => !codes.includes(OPTED_OUT),
    'must not name 63014: the recipient has opted out or blocked the sender',
  );

/**
 * Keys, each optionally after a name for the log: `alice:key`. Each is too long to guess, even without the name. A
 * header holds visible ASCII only, and commas separate keys.
 */
const adminApiKeys = z
  .string()
  .transform((value) => value.split(',').map((key) => key.trim()))
  .pipe(z.array(z.string().regex(/^(?![\w-]{1,32}:[^,]{0,23}$)[\x21-\x7e]{24,}$/)))
  .refine((keys) => new Set(keys).size === keys.length, 'must name each key once')
  .refine(haveOwnNames, 'must give each key a name of its own');

function haveOwnNames(keys: readonly string[]): boolean {
  const names = keys.flatMap((key) => /^([\w-]{1,32}):/.exec(key)?.[1] ?? []);
  return new Set(names).size === names.length;
}

/** Up to one day, after which a message is given up. */
const minutes = z.coerce.number().min(0).max(1_440);

/** WhatsApp's own time to live for a message is at most 30 days. */
const maximumAge = z.coerce.number().gt(0).max(43_200);

/** Shorter than the default age limit: an SMS that is held longer is too late. */
const holdSeconds = z.coerce.number().min(0).max(3_600);

const duplicateWindowSeconds = z.coerce.number().min(0).max(86_400);

/** Far more than any sender of Twilio's may send. */
const smsPerSecond = z.coerce.number().min(0).max(10_000);

/** At least 3: the check for late WhatsApp deliveries reads two days of events. */
const retentionDays = z.coerce.number().int().min(3).max(36_500);

/** Concurrent domain events. Each may need its own database connection. */
const workerConcurrency = z.coerce.number().int().min(0).max(100);

const httpUrl = z
  .url({ protocol: /^https?$/ })
  .refine((value) => !value.includes('@'), 'must have no user name and no password')
  .refine((value) => !/[?#]/.test(value), 'must have no query string and no fragment')
  .transform((value) => value.replace(/\/+$/, ''));

/** A URL as in libpq, with several hosts and parameters, which zod's own URL check does not accept. */
const postgresUrl = z.string().superRefine((value, context) => {
  try {
    parseDatabaseUrl(value);
  } catch (error) {
    if (!(error instanceof DatabaseUrlError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
});

/** Needs no quotes in SQL. The queue's schema has `_queue` at the end of the same name, with 63 characters at most. */
const schema = z
  .string()
  .regex(/^(?!pg_)[a-z_][a-z0-9_]{0,56}$/, 'must be a name of lower-case letters, digits, and underscores');

/** Express `trust proxy`: `true`, a number of hops, or addresses and subnets separated by commas. */
const trustProxy = z
  .string()
  .refine(
    (value) => /^(true|false|\d+)$/.test(value) || value.split(',').every((proxy) => isProxy(proxy.trim())),
    'must be true, false, a number of hops, or addresses and subnets separated by commas',
  )
  .transform((value) => {
    if (value === 'true' || value === 'false') return value === 'true';
    return /^\d+$/.test(value) ? Number(value) : value;
  });

/** What Express accepts: an address, a subnet such as 10.0.0.0/8, or a predefined name. */
function isProxy(value: string): boolean {
  if (/^(loopback|linklocal|uniquelocal)$/.test(value)) return true;
  const [, address = '', bits = '1'] = /^([^/]+)(?:\/(\d+))?$/.exec(value) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits) >= 1 && Number(bits) <= (version === 4 ? 32 : 128);
}

/** Every variable that the service reads. The names are a contract with operators, see docs/configuration.md. */
export const envVariables = z.object({
  TWILIO_ACCOUNT_SID: accountSid,
  TWILIO_AUTH_TOKEN: authToken,
  TWILIO_AUTH_TOKEN_SECONDARY: authToken.optional(),
  TWILIO_SUBACCOUNTS: subaccounts.default([]),
  TWILIO_WEBHOOK_SHARED_KEYS: webhookSharedKeys.default([]),
  TWILIO_PHONE_NUMBER_REMINDERS: phoneNumber.optional(),
  TWILIO_MESSAGING_SERVICE_SID: z
    .string()
    .regex(/^MG[0-9a-zA-Z]+$/, 'must be a Messaging Service SID (MG…)')
    .optional(),
  TWILIO_API_BASE_URL: httpUrl.default('https://api.twilio.com'),
  DATABASE_URL: postgresUrl.optional(),
  DATABASE_SCHEMA: schema.optional(),
  EMBEDDED_DATA_DIR: z.string().default('.data/'),
  PUBLIC_BASE_URL: httpUrl.optional(),
  TRUST_PROXY: trustProxy.default(false),
  FALLBACK_ERROR_CODES: errorCodes.default(['63049']),
  FALLBACK_MAX_AGE_MINUTES: maximumAge.default(240),
  FALLBACK_HOLD_SECONDS: holdSeconds.default(0),
  FALLBACK_DUPLICATE_WINDOW_SECONDS: duplicateWindowSeconds.default(0),
  SMS_PER_SECOND: smsPerSecond.default(0),
  ORIGINAL_MESSAGES: z.enum(['tables', 'twilio'], 'must be tables or twilio').default('tables'),
  // No default here, so that `messages` can be refused if there is no such table.
  ORIGINAL_TEXT: z.enum(['messages', 'twilio'], 'must be messages or twilio').optional(),
  STATUS_POLL_AFTER_MINUTES: minutes.default(10),
  WORKER_CONCURRENCY: workerConcurrency.default(10),
  RETENTION_DAYS: retentionDays.optional(),
  ADMIN_API_KEYS: adminApiKeys.default([]),
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  HOST: z.string().default('0.0.0.0'),
  LOG_LEVEL: z
    .string()
    .toLowerCase()
    .transform((level) => (level === 'info' ? 'log' : level))
    .pipe(z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`))
    .default('log'),
  NODE_ENV: z.string().default('development'),
});

/** The variables that say which database it is, for `envVariables.pick`. */
export const DATABASE_VARIABLES = {
  DATABASE_URL: true,
  DATABASE_SCHEMA: true,
  EMBEDDED_DATA_DIR: true,
  ORIGINAL_MESSAGES: true,
} as const;

/** The schema of the whole service. A command picks the variables that it needs from `envVariables`. */
export const envSchema = envVariables
  .refine((env) => env.TWILIO_SUBACCOUNTS.every((account) => account.accountSid !== env.TWILIO_ACCOUNT_SID), {
    path: ['TWILIO_SUBACCOUNTS'],
    message: 'must not name the account of TWILIO_ACCOUNT_SID, whose token is TWILIO_AUTH_TOKEN',
  })
  .refine(({ FALLBACK_HOLD_SECONDS: hold, FALLBACK_MAX_AGE_MINUTES: age }) => hold === 0 || hold < age * 60, {
    path: ['FALLBACK_HOLD_SECONDS'],
    message: 'must be shorter than FALLBACK_MAX_AGE_MINUTES, or each SMS would be too late',
  })
  .refine((env) => env.ORIGINAL_MESSAGES === 'tables' || hasSenderOfEachAccount(env), {
    path: ['ORIGINAL_MESSAGES'],
    message:
      'must not be twilio without a sender, because no company names one: set TWILIO_PHONE_NUMBER_REMINDERS or TWILIO_MESSAGING_SERVICE_SID; with TWILIO_SUBACCOUNTS the first one, because a Messaging Service sends for the main account only',
  })
  .refine((env) => env.ORIGINAL_MESSAGES === 'tables' || env.ORIGINAL_TEXT !== 'messages', {
    path: ['ORIGINAL_TEXT'],
    message: 'must not be messages if ORIGINAL_MESSAGES is twilio: there is no other text than Twilio’s',
  })
  .refine((env) => env.DATABASE_SCHEMA === undefined || env.DATABASE_URL !== undefined, {
    path: ['DATABASE_SCHEMA'],
    message: 'must not be set if DATABASE_URL is not set: the embedded database belongs to the service alone',
  })
  .refine((env) => env.WORKER_CONCURRENCY > 0 || env.DATABASE_URL !== undefined, {
    path: ['WORKER_CONCURRENCY'],
    message: 'must not be 0 if DATABASE_URL is not set: no other process can use the embedded database',
  });

export type Env = z.output<typeof envSchema>;

/** Whether SMS of all accounts have a sender without a company. */
function hasSenderOfEachAccount(env: z.output<typeof envVariables>): boolean {
  if (env.TWILIO_PHONE_NUMBER_REMINDERS !== undefined) return true;
  return env.TWILIO_MESSAGING_SERVICE_SID !== undefined && env.TWILIO_SUBACCOUNTS.length === 0;
}

/** Describes a database without its password: host, port and name, or the folder of the embedded one. */
export function describeDatabase({
  DATABASE_URL: url,
  EMBEDDED_DATA_DIR: folder,
}: Pick<Env, 'DATABASE_URL' | 'EMBEDDED_DATA_DIR'>): string {
  if (url === undefined) return `embedded, in ${folder}`;
  const hosts = parseDatabaseUrl(url).hosts.map(({ host, port }) =>
    host.startsWith('/') ? host : `${isIPv6(host) ? `[${host}]` : host}:${port}`,
  );
  const [, name = ''] = /^\w+:\/\/[^/?#]*\/([^?#]*)/.exec(url) ?? [];
  return `PostgreSQL at ${hosts.join(',')}, database ${name || 'of the user’s name'}`;
}

/** Injection token of the parsed environment (`Env`). Only app.module.ts and app.setup.ts inject it. */
export const ENV = Symbol('ENV');

@Module({
  providers: [{ provide: ENV, useFactory: () => parseEnv(process.env, envSchema) }],
  exports: [ENV],
})
export class EnvModule {}
