import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { formatForm } from '../../simulator/form-parameters.js';
import { PUBLIC_BASE_URL, TestApplication, WEBHOOK_PATH, WEBHOOK_URL } from '../support/application.js';
import { randomMessageSid } from '../support/seed.js';
import { jsonTextCallback } from './json-callback.js';
import { postCallback } from './post-callback.js';

/** Any text that can be sent: every code point, including NUL and unassigned ones. */
const text = fc.string({ unit: 'binary', maxLength: 40 });
const name = fc.oneof(
  text,
  fc.constantFrom(
    'To',
    'From',
    'ErrorCode',
    'ChannelPrefix',
    'MessageSid',
    'MessageStatus',
    '__proto__',
    'a[b]',
  ),
);
const values = fc.oneof(
  { weight: 4, arbitrary: text },
  { weight: 1, arbitrary: fc.array(text, { minLength: 2 }) },
);

/** Parameters of the configured account, often complete and never ambiguous. */
const parameters = fc
  .tuple(fc.array(fc.tuple(name, values), { maxLength: 12 }), fc.boolean())
  .map(([pairs, isComplete]) => {
    const required = { MessageSid: randomMessageSid(), MessageStatus: 'sent' };
    const given = Object.fromEntries(isComplete ? [...pairs, ...Object.entries(required)] : pairs);
    return Object.assign(given, { AccountSid: demoAccount.sid });
  });

/** Any characters that a request line can hold, except the one that ends a query. */
const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const query = fc.string({ unit: visible.filter((character) => character !== '#'), maxLength: 60 });

/** Text in which no character is an escape or part of one, so that each stands for itself. */
const plain = fc.string({
  unit: fc.constantFrom('a', 'b', 'm', 'x', 'y', 'z'),
  minLength: 1,
  maxLength: 20,
});

const numRuns = 80;

describe('a signature as Twilio makes it', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function statusOf(post: Parameters<typeof postCallback>[1]): Promise<number> {
    return (await postCallback(application, post)).status;
  }

  it('is accepted for any parameters and any query', async () => {
    await fc.assert(
      fc.asyncProperty(parameters, query, async (given, search) => {
        const status = await statusOf({ parameters: given, target: `${WEBHOOK_PATH}?${search}` });
        expect([204, 400]).toContain(status);
      }),
      { numRuns },
    );
  });

  it('is accepted for any JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, fc.jsonValue()), fc.boolean(), async (given, isComplete) => {
        const required = isComplete ? { MessageSid: randomMessageSid(), MessageStatus: 'sent' } : {};
        const body = JSON.stringify({ ...given, ...required, AccountSid: demoAccount.sid });
        const status = await statusOf(jsonTextCallback(body));
        expect(isComplete ? [204] : [204, 400]).toContain(status);
      }),
      { numRuns },
    );
  });

  it('is refused if one character of the body differs', async () => {
    await fc.assert(
      fc.asyncProperty(parameters, plain, fc.nat(), async (given, value, position) => {
        const signed = { ...given, Unique: value };
        const body = formatForm({ ...given, Unique: changed(value, position) });
        expect(await statusOf({ parameters: signed, body })).toBe(403);
      }),
      { numRuns },
    );
  });

  it('is refused if one character of a JSON body differs', async () => {
    await fc.assert(
      fc.asyncProperty(plain, fc.nat(), async (value, position) => {
        const json = { AccountSid: demoAccount.sid, MessageSid: randomMessageSid(), MessageStatus: 'sent' };
        const callback = jsonTextCallback(JSON.stringify({ ...json, value }));
        const body = JSON.stringify({ ...json, value: changed(value, position) });
        expect(await statusOf({ ...callback, body })).toBe(403);
      }),
      { numRuns },
    );
  });

  it('is refused if one character of the query differs', async () => {
    await fc.assert(
      fc.asyncProperty(parameters, query, plain, fc.nat(), async (given, search, value, position) => {
        const urlWith = (end: string) => `${WEBHOOK_PATH}?${search}&end=${end}`;
        const post = { parameters: given, signedUrl: PUBLIC_BASE_URL + urlWith(value) };
        expect(await statusOf({ ...post, target: urlWith(changed(value, position)) })).toBe(403);
      }),
      { numRuns },
    );
  });

  it('is refused if one of its characters differs, is missing, or is added', async () => {
    const spoil = fc.constantFrom('change', 'cut', 'extend');
    await fc.assert(
      fc.asyncProperty(parameters, spoil, fc.nat(), async (given, how, position) => {
        const right = getExpectedTwilioSignature(demoAccount.authToken, WEBHOOK_URL, given);
        const wrong = { change: changed(right, position), cut: right.slice(1), extend: `${right}=` }[how];
        expect(await statusOf({ parameters: given, signature: wrong })).toBe(403);
      }),
      { numRuns },
    );
  });
});

/** The text with another character at a position. */
function changed(text: string, position: number): string {
  const index = position % text.length;
  return text.slice(0, index) + (text[index] === 'x' ? 'y' : 'x') + text.slice(index + 1);
}
