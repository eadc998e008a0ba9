import { describe, expect, it } from '@jest/globals';
import { describeDatabase, type Env, envSchema, envVariables } from '../../src/config/env.js';
import { parseEnv } from '../../src/config/parse-env.js';

const required = { TWILIO_ACCOUNT_SID: 'AC0123', TWILIO_AUTH_TOKEN: 'the-token' };

function parse(variables: Record<string, string | undefined>): Env {
  return parseEnv({ ...required, ...variables }, envSchema);
}

function refusal(variables: Record<string, string | undefined>): string {
  try {
    parse(variables);
  } catch (error) {
    if (error instanceof Error && error.name === 'EnvironmentError') return error.message;
    throw error;
  }
  throw new Error('The environment was accepted');
}

function sharedKey(keyId: string, secret: string) {
  return { keyId, secret };
}

const defaults = {
  TWILIO_SUBACCOUNTS: [],
  TWILIO_WEBHOOK_SHARED_KEYS: [],
  TWILIO_API_BASE_URL: 'https://api.twilio.com',
  EMBEDDED_DATA_DIR: '.data/',
  TRUST_PROXY: false,
  FALLBACK_ERROR_CODES: ['63049'],
  FALLBACK_MAX_AGE_MINUTES: 240,
  FALLBACK_HOLD_SECONDS: 0,
  FALLBACK_DUPLICATE_WINDOW_SECONDS: 0,
  SMS_PER_SECOND: 0,
  ORIGINAL_MESSAGES: 'tables',
  STATUS_POLL_AFTER_MINUTES: 10,
  WORKER_CONCURRENCY: 10,
  ADMIN_API_KEYS: [],
  PORT: 3000,
  HOST: '0.0.0.0',
  LOG_LEVEL: 'log',
  NODE_ENV: 'development',
};

describe('the environment', () => {
  it('requires an account and its token, and has defaults for everything else', () => {
    expect(parse({})).toEqual({ ...required, ...defaults });
  });

  it('treats an empty or blank variable as unset', () => {
    const nothing = Object.fromEntries(
      Object.keys(envSchema.shape).map((name, index) => [name, ' '.repeat(index % 2)]),
    );
    expect(parse({ ...nothing, ...required })).toEqual({ ...required, ...defaults });
    expect(() => parseEnv(nothing, envSchema)).toThrow('TWILIO_ACCOUNT_SID is required and not set');
  });

  it('strips white space around a value, such as the line feed at the end of a secret', () => {
    const env = parse({ TWILIO_AUTH_TOKEN: 'the-token\n', TWILIO_ACCOUNT_SID: ' AC0123', PORT: ' 80 ' });
    expect(env).toMatchObject({ ...required, PORT: 80 });
  });

  it('ignores unknown variables', () => {
    expect(parse({ PATH: '/bin', TWILIO_AUTHTOKEN: 'misspelt' })).toEqual({ ...required, ...defaults });
  });

  it('reads only the part that a command needs', () => {
    const url = 'postgresql://user:password@db.example.com:5432/app';
    expect(parseEnv({ DATABASE_URL: url }, envVariables.pick({ DATABASE_URL: true }))).toEqual({
      DATABASE_URL: url,
    });
  });

  const readings: [string, string, unknown][] = [
    ['TWILIO_AUTH_TOKEN_SECONDARY', 'another', 'another'],
    ['TWILIO_SUBACCOUNTS', 'AC1:one', [{ accountSid: 'AC1', authToken: 'one' }]],
    [
      'TWILIO_SUBACCOUNTS',
      'AC1:one, AC2:two',
      [
        { accountSid: 'AC1', authToken: 'one' },
        { accountSid: 'AC2', authToken: 'two' },
      ],
    ],
    ['TWILIO_WEBHOOK_SHARED_KEYS', 'webhooks_sharedkey_1:one', [sharedKey('webhooks_sharedkey_1', 'one')]],
    [
      'TWILIO_WEBHOOK_SHARED_KEYS',
      ' webhooks_sharedkey_1 : o:n=e ,\twebhooks_sharedkey_2::two:\n',
      [sharedKey('webhooks_sharedkey_1', 'o:n=e'), sharedKey('webhooks_sharedkey_2', ':two:')],
    ],
    ['TWILIO_PHONE_NUMBER_REMINDERS', '+15551234567', '+15551234567'],
    ['TWILIO_MESSAGING_SERVICE_SID', 'MG0123', 'MG0123'],
    ['TWILIO_API_BASE_URL', 'http://127.0.0.1:4010/', 'http://127.0.0.1:4010'],
    [
      'DATABASE_URL',
      'postgres://user:p%40ss@host/db?sslmode=verify-full',
      'postgres://user:p%40ss@host/db?sslmode=verify-full',
    ],
    ['EMBEDDED_DATA_DIR', '/var/lib/fallback', '/var/lib/fallback'],
    ['PUBLIC_BASE_URL', 'https://hooks.example.com/', 'https://hooks.example.com'],
    ['PUBLIC_BASE_URL', 'https://example.com/hooks//', 'https://example.com/hooks'],
    ['TRUST_PROXY', 'true', true],
    ['TRUST_PROXY', 'false', false],
    ['TRUST_PROXY', '2', 2],
    ['TRUST_PROXY', 'loopback, 10.0.0.0/8', 'loopback, 10.0.0.0/8'],
    ['FALLBACK_ERROR_CODES', '63049, 63024 ,63003', ['63049', '63024', '63003']],
    ['FALLBACK_MAX_AGE_MINUTES', '90.5', 90.5],
    ['FALLBACK_HOLD_SECONDS', '30', 30],
    ['FALLBACK_DUPLICATE_WINDOW_SECONDS', '60', 60],
    ['SMS_PER_SECOND', '10', 10],
    ['SMS_PER_SECOND', '0.5', 0.5],
    ['SMS_PER_SECOND', '0', 0],
    ['ORIGINAL_MESSAGES', 'tables', 'tables'],
    ['ORIGINAL_TEXT', 'messages', 'messages'],
    ['ORIGINAL_TEXT', 'twilio', 'twilio'],
    ['STATUS_POLL_AFTER_MINUTES', '0', 0],
    ['STATUS_POLL_AFTER_MINUTES', '0.5', 0.5],
    ['WORKER_CONCURRENCY', '25', 25],
    ['PORT', '0', 0],
    ['PORT', '65535', 65535],
    ['HOST', '::1', '::1'],
    ['LOG_LEVEL', 'info', 'log'],
    ['LOG_LEVEL', 'WARN', 'warn'],
    ['LOG_LEVEL', 'verbose', 'verbose'],
    ['NODE_ENV', 'production', 'production'],
  ];

  it.each(readings)('reads %s=%s', (name, value, expected) => {
    expect(parse({ [name]: value })).toEqual({ ...required, ...defaults, [name]: expected });
  });

  const refusals: [string, string, string][] = [
    ['TWILIO_ACCOUNT_SID', 'SM0123', 'must be an account SID (AC…)'],
    ['TWILIO_SUBACCOUNTS', 'AC1', 'must be pairs of account SID and token: ACxxx:token,ACyyy:token'],
    ['TWILIO_SUBACCOUNTS', 'AC1:one,AC2:', 'must be pairs of account SID and token: ACxxx:token,ACyyy:token'],
    ['TWILIO_SUBACCOUNTS', 'AC1:one,AC1:two', 'must name each account once'],
    ['TWILIO_SUBACCOUNTS', 'AC1:one,AC0123:two', 'must not name the account of TWILIO_ACCOUNT_SID'],
    ['TWILIO_SUBACCOUNTS', 'AC1:one:more', 'must be pairs of account SID and token: ACxxx:token,ACyyy:token'],
    ['TWILIO_WEBHOOK_SHARED_KEYS', 'webhooks_sharedkey_1', 'must be pairs of key ID and secret: '],
    ['TWILIO_WEBHOOK_SHARED_KEYS', 'webhooks_sharedkey_1: ', 'must be pairs of key ID and secret: '],
    ['TWILIO_WEBHOOK_SHARED_KEYS', ':secret', 'must be pairs of key ID and secret: '],
    ['TWILIO_WEBHOOK_SHARED_KEYS', 'key:secret,', 'must be pairs of key ID and secret: '],
    ['TWILIO_WEBHOOK_SHARED_KEYS', 'k e y:secret', 'must be pairs of key ID and secret: '],
    ['TWILIO_WEBHOOK_SHARED_KEYS', 'key:one, key :two', 'must name each key once'],
    [
      'TWILIO_WEBHOOK_SHARED_KEYS',
      's:webhooks_sharedkey_1',
      'must have the ID of each key before its secret',
    ],
    ['TWILIO_PHONE_NUMBER_REMINDERS', '0155512345', 'must be a phone number in E.164, e.g. +15551234567'],
    ['TWILIO_MESSAGING_SERVICE_SID', 'AC0123', 'must be a Messaging Service SID (MG…)'],
    ['TWILIO_API_BASE_URL', 'api.twilio.com', 'must be an http or https URL without a query'],
    ['TWILIO_API_BASE_URL', 'ftp://api.twilio.com', 'must be an http or https URL without a query'],
    ['DATABASE_URL', 'mysql://host/db', 'must be a PostgreSQL URL, special characters percent-encoded'],
    ['DATABASE_URL', 'postgresql://user:100%@host/db', 'must have its special characters percent-encoded'],
    ['PUBLIC_BASE_URL', 'hooks.example.com', 'must be the https origin that Twilio calls'],
    ['PUBLIC_BASE_URL', 'https://hooks.example.com/?a=b', 'must have no query string and no fragment'],
    ['PUBLIC_BASE_URL', 'https://user:password@hooks.example.com', 'must have no user name and no password'],
    ['TWILIO_API_BASE_URL', 'https://user@api.twilio.com', 'must have no user name and no password'],
    [
      'TRUST_PROXY',
      'the-proxy',
      'must be true, false, a number of hops, or addresses and subnets separated by commas',
    ],
    ['FALLBACK_ERROR_CODES', '63049;63024', 'must be error codes separated by commas: 63049,63024'],
    ['FALLBACK_ERROR_CODES', '63049,63014', 'must not name 63014'],
    ['FALLBACK_ERROR_CODES', 'all', 'must be error codes separated by commas: 63049,63024'],
    ['FALLBACK_MAX_AGE_MINUTES', '0', 'must be a number of minutes above 0, up to 43200'],
    ['FALLBACK_HOLD_SECONDS', '3601', 'must be a number of seconds from 0 to 3600; 0 switches it off'],
    [
      'FALLBACK_DUPLICATE_WINDOW_SECONDS',
      '-1',
      'must be a number of seconds from 0 to 86400; 0 switches it off',
    ],
    ['FALLBACK_HOLD_SECONDS', '-1', 'must be a number of seconds from 0 to 3600; 0 switches it off'],
    ['SMS_PER_SECOND', '-1', 'must be a number of SMS per second from 0 to 10000, e.g. 0.5; 0 sets no limit'],
    ['SMS_PER_SECOND', 'fast', 'must be a number of SMS per second from 0 to 10000'],
    ['ORIGINAL_MESSAGES', 'none', 'must be tables or twilio'],
    ['ORIGINAL_MESSAGES', 'twilio', 'set TWILIO_PHONE_NUMBER_REMINDERS or TWILIO_MESSAGING_SERVICE_SID'],
    ['ORIGINAL_TEXT', 'body', 'must be messages or twilio'],
    ['STATUS_POLL_AFTER_MINUTES', '-1', 'must be a number of minutes from 0 to 1440; 0 switches it off'],
    ['STATUS_POLL_AFTER_MINUTES', '1441', 'must be a number of minutes from 0 to 1440; 0 switches it off'],
    ['STATUS_POLL_AFTER_MINUTES', 'never', 'must be a number of minutes from 0 to 1440; 0 switches it off'],
    ['WORKER_CONCURRENCY', '-1', 'must be a whole number from 0 to 100'],
    ['WORKER_CONCURRENCY', '101', 'must be a whole number from 0 to 100'],
    ['WORKER_CONCURRENCY', '2.5', 'must be a whole number from 0 to 100'],
    ['WORKER_CONCURRENCY', '0', 'must not be 0 if DATABASE_URL is not set'],
    ['RETENTION_DAYS', '2', 'must be a whole number of days from 3 to 36500'],
    ['RETENTION_DAYS', '7.5', 'must be a whole number of days from 3 to 36500'],
    ['ADMIN_API_KEYS', 'short', 'must be keys of at least 24 characters, separated by commas'],
    ['ADMIN_API_KEYS', `${'k'.repeat(24)},`, 'must be keys of at least 24 characters, separated by commas'],
    ['ADMIN_API_KEYS', `${'k'.repeat(24)},${'k'.repeat(24)}`, 'must name each key once'],
    ['ADMIN_API_KEYS', `alice-of-the-clinic:${'k'.repeat(20)}`, 'must be keys of at least 24 characters'],
    ['ADMIN_API_KEYS', `a:${'k'.repeat(24)},a:${'l'.repeat(24)}`, 'must give each key a name of its own'],
    ['PORT', '65536', 'must be a port number from 0 to 65535'],
    ['PORT', '-1', 'must be a port number from 0 to 65535'],
    ['PORT', 'http', 'must be a port number from 0 to 65535'],
    ['LOG_LEVEL', 'loud', 'must be one of fatal, error, warn, log, debug, verbose'],
  ];

  it.each(refusals)('refuses %s=%s and says what it expects', (name, value, expectation) => {
    const [heading, problem, ...rest] = refusal({ [name]: value }).split('\n');
    expect(heading).toBe('The environment is not complete:');
    expect(problem).toMatch(new RegExp(`^  ${name} `));
    expect(problem).toContain(expectation);
    expect(rest).toEqual(['Each variable is explained in .env.example.']);
  });
});

describe('ORIGINAL_MESSAGES=twilio', () => {
  const number = { ORIGINAL_MESSAGES: 'twilio', TWILIO_PHONE_NUMBER_REMINDERS: '+15551234567' };
  const service = { ORIGINAL_MESSAGES: 'twilio', TWILIO_MESSAGING_SERVICE_SID: 'MG0123' };
  const subaccounts = { TWILIO_SUBACCOUNTS: 'AC1:one' };

  it.each([
    ['a number', number],
    ['a Messaging Service', service],
    ['a number for the subaccounts', { ...number, ...service, ...subaccounts }],
    ['a preferred text that says the same', { ...number, ORIGINAL_TEXT: 'twilio' }],
  ])('is accepted with %s', (_, variables) => {
    expect(parse(variables)).toMatchObject({ ORIGINAL_MESSAGES: 'twilio' });
  });

  it('needs a number for subaccounts, which cannot send through the Messaging Service', () => {
    expect(refusal({ ...service, ...subaccounts })).toContain(
      'ORIGINAL_MESSAGES must not be twilio without a sender',
    );
  });

  it('does not go with the text of a table', () => {
    expect(refusal({ ...number, ORIGINAL_TEXT: 'messages' })).toContain(
      'ORIGINAL_TEXT must not be messages if ORIGINAL_MESSAGES is twilio',
    );
  });
});

describe('the name of a database', () => {
  const named = (url: string | undefined) =>
    describeDatabase({ DATABASE_URL: url, EMBEDDED_DATA_DIR: '.data/' });

  it.each([
    ['postgresql://user:s3cr3t@db.example.com:6432/app?sslmode=require', 'db.example.com:6432, database app'],
    ['postgres://db.example.com/app', 'db.example.com:5432, database app'],
    ['postgresql://user:s3%40cr3t@[::1]:5432/app', '[::1]:5432, database app'],
    ['postgresql://user:s3cr3t@one,two:5433/app', 'one:5432,two:5433, database app'],
    ['postgresql://user:s3cr3t@host', 'host:5432, database of the user’s name'],
    ['postgresql:///app?host=/var/run/postgresql', '/var/run/postgresql, database app'],
  ])('omits the password of %s', (url, name) => {
    expect(named(url)).toBe(`PostgreSQL at ${name}`);
  });

  it('is the embedded one', () => {
    expect(named(undefined)).toBe('embedded, in .data/');
  });
});
