import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { envSchema } from '../../src/config/env.js';
import { EnvironmentError, parseEnv } from '../../src/config/parse-env.js';

const names = Object.keys(envSchema.shape) as (keyof typeof envSchema.shape)[];

function refusal(variables: Record<string, string>): string | null {
  try {
    parseEnv(variables, envSchema);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(EnvironmentError);
    return error instanceof Error ? error.message : '';
  }
}

/** A marked value that no text contains by chance. */
const secret = fc
  .string({ minLength: 4, maxLength: 30, unit: 'grapheme' })
  .map((text) => `s3cr3t${text}s3cr3t`);

const malformed = fc
  .tuple(secret, fc.constantFrom('', 'AC1:', 'AC1:one,', 'postgresql://user:', 'https://', '+', 'MG'))
  .map(([value, prefix]) => prefix + value);

describe('an invalid environment', () => {
  it('never shows a value, whatever is in it', () => {
    let refusals = 0;
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), malformed, { minKeys: 1 }), (variables) => {
        const message = refusal(variables);
        if (message !== null) refusals += 1;
        expect(message ?? '').not.toContain('s3cr3t');
      }),
      { numRuns: 500 },
    );
    expect(refusals).toBeGreaterThan(100);
  });

  it('names all missing and malformed variables at once, one per line', () => {
    const values: Partial<Record<(typeof names)[number], string>> = {
      TWILIO_ACCOUNT_SID: 's3cr3t',
      TWILIO_SUBACCOUNTS: 's3cr3t,s3cr3t',
      TWILIO_WEBHOOK_SHARED_KEYS: 's3cr3t,s3cr3t',
      TWILIO_PHONE_NUMBER_REMINDERS: 's3cr3t',
      TWILIO_MESSAGING_SERVICE_SID: 's3cr3t',
      TWILIO_API_BASE_URL: 's3cr3t',
      DATABASE_URL: 's3cr3t',
      PUBLIC_BASE_URL: 's3cr3t',
      TRUST_PROXY: 's3cr3t',
      STATUS_POLL_AFTER_MINUTES: 's3cr3t',
      FALLBACK_ERROR_CODES: 's3cr3t,s3cr3t',
      RETENTION_DAYS: 's3cr3t',
      ADMIN_API_KEYS: 's3cr3t,s3cr3t',
      PORT: 's3cr3t',
      LOG_LEVEL: 's3cr3t',
    };
    const subset = fc.subarray(Object.keys(values) as (keyof typeof values)[]);
    fc.assert(
      fc.property(subset, fc.boolean(), (wrong, withToken) => {
        const variables: Record<string, string> = { TWILIO_ACCOUNT_SID: 'AC1' };
        if (withToken) variables.TWILIO_AUTH_TOKEN = 'token';
        for (const name of wrong) variables[name] = values[name] ?? '';
        const named = [...(refusal(variables) ?? '').matchAll(/^ {2}([A-Z_]+) /gm)].map(([, name]) => name);
        expect(named.toSorted()).toEqual([...wrong, ...(withToken ? [] : ['TWILIO_AUTH_TOKEN'])].toSorted());
      }),
    );
  });
});
