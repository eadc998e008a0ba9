import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parseEnv as parseEnvFile } from 'node:util';
import { envSchema } from '../../src/config/env.js';
import { parseEnv } from '../../src/config/parse-env.js';

const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
const lines = text.split('\n');

interface Entry {
  readonly name: string;
  readonly value: string;
  readonly commentedOut: boolean;
  readonly explanation: string;
}

const entries = lines.flatMap((line, index): Entry[] => {
  const [, mark, name = '', value = ''] = /^(# )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
  if (name === '') return [];
  return [{ name, value, commentedOut: mark !== undefined, explanation: lines[index - 1] ?? '' }];
});

/** The values that the first step of the README fills in. */
const TO_FILL_IN = [
  'TWILIO_ACCOUNT_SID',
  'TWILIO_AUTH_TOKEN',
  'TWILIO_PHONE_NUMBER_REMINDERS',
  'ORIGINAL_MESSAGES',
  'DATABASE_URL',
  'ADMIN_API_KEYS',
];

const credentials = { TWILIO_ACCOUNT_SID: 'AC0', TWILIO_AUTH_TOKEN: 'token' };

describe('.env.example', () => {
  it('has every variable of the schema once, and no other', () => {
    expect(entries.map(({ name }) => name).toSorted()).toEqual(Object.keys(envSchema.shape).toSorted());
  });

  it('explains each variable in the line above it', () => {
    const unexplained = entries.filter(
      ({ explanation }) => !/^# .{15,}/.test(explanation) || /^# [A-Z_]+=/.test(explanation),
    );
    expect(unexplained).toEqual([]);
  });

  it('marks the required variables, leaves them to fill in, and comments out the others', () => {
    const required = Object.entries(envSchema.shape)
      .filter(([, schema]) => !schema.safeParse(undefined).success)
      .map(([name]) => name);
    expect(required).toEqual(Object.keys(credentials));
    for (const { name, commentedOut, explanation } of entries) {
      const isRequired = required.includes(name);
      expect({ name, commentedOut, marked: explanation.startsWith('# Required.') }).toEqual({
        name,
        commentedOut: !TO_FILL_IN.includes(name),
        marked: isRequired,
      });
    }
  });

  it('names the variables to fill in as the first step of the README does', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const step = readme.slice(readme.indexOf('1. **Configure.**'), readme.indexOf('2. **Build'));
    expect([...step.matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, name]) => name)).toEqual(TO_FILL_IN);
  });

  it('reports the two required variables if they are not filled in', () => {
    expect(() => parseEnv(parseEnvFile(text), envSchema)).toThrow(
      'TWILIO_ACCOUNT_SID is required and not set\n  TWILIO_AUTH_TOKEN is required and not set\nEach',
    );
  });

  it('shows the defaults: uncommenting every line changes nothing', () => {
    const uncommented = Object.fromEntries(entries.map(({ name, value }) => [name, value]));
    expect(parseEnv({ ...uncommented, ...credentials }, envSchema)).toEqual(parseEnv(credentials, envSchema));
  });
});
