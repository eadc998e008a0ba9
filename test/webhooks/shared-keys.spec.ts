import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { getExpectedTwilioSignature, HMAC_SHA256 } from 'twilio/lib/webhooks/webhooks.js';
import { demoAccount } from '../../simulator/demo-account.js';
import type { FormParameters } from '../../simulator/form-parameters.js';
import { readSignatureSettings } from '../../src/webhooks/twilio-signature.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { jsonCallback } from './json-callback.js';
import {
  type CallbackPost,
  errorBody,
  nextAddress,
  postCallback,
  statusParameters,
} from './post-callback.js';

const SETTINGS = 'X-Twilio-Webhooks-Signature-Settings';
const [OLD, NEW] = ['webhooks_sharedkey_01old', 'webhooks_sharedkey_02new'];
const secrets: Record<string, string> = { [OLD]: 'old:s3cr3t', [NEW]: 'new-s3cr3t' };
const SUBACCOUNT = 'ACsub';

function settings(keyId: string, algorithm: string = HMAC_SHA256): string {
  return `key=${keyId},algorithm=${algorithm}`;
}

/** A form as Twilio signs it with a shared key. */
function sharedKeyPost(keyId: string, secret = secrets[keyId] ?? '', extra: FormParameters = {}) {
  const parameters = statusParameters(extra);
  return {
    parameters,
    signature: getExpectedTwilioSignature(secret, WEBHOOK_URL, parameters, HMAC_SHA256),
    headers: { [SETTINGS]: settings(keyId) },
  };
}

describe('a callback that is signed with a shared key', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: {
        TWILIO_SUBACCOUNTS: `${SUBACCOUNT}:token-of-subaccount`,
        TWILIO_WEBHOOK_SHARED_KEYS: Object.entries(secrets)
          .map((pair) => pair.join(':'))
          .join(','),
      },
    });
  });

  afterAll(async () => {
    await application.close();
  });

  async function storedEvents(messageSid: unknown): Promise<number> {
    const rows = await application.query('select from message_events where message_sid = $1', [messageSid]);
    return rows.length;
  }

  async function statusOf(post: CallbackPost): Promise<number> {
    return (await postCallback(application, post)).status;
  }

  /** The reason in the log for a request that must be refused without an explanation. */
  async function reasonOf(post: CallbackPost): Promise<unknown> {
    const from = nextAddress();
    const answer = await postCallback(application, { ...post, from });
    expect(answer.status).toBe(403);
    expect(errorBody(answer).message).toBe('The request is not signed by a configured Twilio account');
    const lines = application.logs.lines.filter(({ fields }) => JSON.stringify(fields).includes(`"${from}"`));
    expect(lines).toMatchObject([{ level: 'warn', message: '⛔ [WEBHOOK] Request refused' }]);
    return (lines[0]?.fields[0] as { reason?: unknown } | undefined)?.reason;
  }

  it.each([OLD, NEW])('is an event with each configured key: %s', async (keyId) => {
    const post = sharedKeyPost(keyId);
    expect(await statusOf(post)).toBe(204);
    expect(await storedEvents(post.parameters.MessageSid)).toBe(1);
  });

  it.each([
    ['the header in lower case', SETTINGS.toLowerCase(), settings(OLD)],
    ['the header in upper case', SETTINGS.toUpperCase(), settings(OLD)],
    ['white space in it', SETTINGS, ` key = ${OLD} , algorithm = HMAC_SHA256 `],
    ['the other order', SETTINGS, `algorithm=HMAC_SHA256,key=${OLD}`],
    ['a part that is not known yet', SETTINGS, `${settings(OLD)},version=2`],
  ])('is an event with %s', async (_, name, value) => {
    expect(await statusOf({ ...sharedKeyPost(OLD), headers: { [name]: value } })).toBe(204);
  });

  it('is an event of a subaccount, too', async () => {
    expect(await statusOf(sharedKeyPost(NEW, secrets[NEW], { AccountSid: SUBACCOUNT }))).toBe(204);
  });

  it('is an event in JSON, too', async () => {
    const json = jsonCallback(statusParameters());
    const signature = (secret: string) =>
      getExpectedTwilioSignature(secret, json.signedUrl ?? '', {}, HMAC_SHA256);
    const headers = { [SETTINGS]: settings(NEW) };
    expect(await statusOf({ ...json, headers, signature: signature(secrets[NEW] ?? '') })).toBe(204);
    expect(await statusOf({ ...json, headers, signature: signature(secrets[OLD] ?? '') })).toBe(403);
    const body = JSON.stringify(statusParameters());
    expect(await statusOf({ ...json, headers, signature: signature(secrets[NEW] ?? ''), body })).toBe(403);
  });

  it('is no event if its account is not configured', async () => {
    expect(await reasonOf(sharedKeyPost(NEW, secrets[NEW], { AccountSid: 'ACunknown' }))).toBe(
      'its AccountSid is not one of the configured accounts',
    );
  });

  it('is refused with a key that is not configured, which the log names', async () => {
    expect(await reasonOf(sharedKeyPost('webhooks_sharedkey_03', 'another secret'))).toBe(
      'it is signed with the shared key webhooks_sharedkey_03, which is not in TWILIO_WEBHOOK_SHARED_KEYS',
    );
  });

  it('is refused with an inherited property as its key', async () => {
    expect(await reasonOf(sharedKeyPost('__proto__', 'x'))).toContain(
      'the shared key __proto__, which is not',
    );
  });

  it('names a long or odd key in the log only as far as it is harmless', async () => {
    const long = await reasonOf(sharedKeyPost('k'.repeat(5_000), 'x'));
    expect(String(long).length).toBeLessThan(250);
    const odd = await reasonOf(sharedKeyPost('a\tb\u00e9c', 'x'));
    expect(odd).toContain('the shared key a?b??c, which is not');
  });

  it.each([
    ['the secret of the other key', () => sharedKeyPost(OLD, secrets[NEW])],
    ['the auth token as the secret', () => sharedKeyPost(OLD, demoAccount.authToken)],
    [
      'the SHA-1 signature of the auth token (no downgrade)',
      () => ({ parameters: statusParameters(), headers: { [SETTINGS]: settings(OLD) } }),
    ],
    [
      'the SHA-1 signature of the secret',
      () => ({
        parameters: statusParameters(),
        token: secrets[OLD],
        headers: { [SETTINGS]: settings(OLD) },
      }),
    ],
    ['another body', () => ({ ...sharedKeyPost(OLD), body: 'AccountSid=' + demoAccount.sid })],
  ])('is refused with %s', async (_, post) => {
    expect(await reasonOf(post())).toBe(
      `its signature does not match the shared key ${OLD}: compare the URL and the key's secret`,
    );
  });

  const has = (what: string) => `its X-Twilio-Webhooks-Signature-Settings header ${what}`;
  const only = 'only HMAC_SHA256 is accepted';

  it.each([
    ['', has('has no key')],
    ['algorithm=HMAC_SHA256', has('has no key')],
    [`key=${OLD}`, has('has no algorithm')],
    [`key=,algorithm=HMAC_SHA256`, has('has an empty key')],
    [`key,algorithm=HMAC_SHA256`, has('has an empty key')],
    [`key=${OLD},algorithm= `, has('has an empty algorithm')],
    [`key=${OLD},key=${OLD},algorithm=HMAC_SHA256`, has('has more than one key')],
    [`key=${OLD},algorithm=HMAC_SHA256,algorithm=HMAC_SHA256`, has('has more than one algorithm')],
    [settings(OLD, 'HMAC_SHA1'), has(`names the algorithm HMAC_SHA1: ${only}`)],
    [settings(OLD, 'HMAC_SHA512'), has(`names the algorithm HMAC_SHA512: ${only}`)],
    [settings(OLD, 'hmac_sha256'), has(`names the algorithm hmac_sha256: ${only}`)],
    [settings(OLD, 'none'), has(`names the algorithm none: ${only}`)],
    [`Key=${OLD},algorithm=HMAC_SHA256`, has('has Key instead of key')],
    [`${settings(OLD)},KEY=${NEW}`, has('has KEY instead of key')],
    [`key=${OLD},ALGORITHM=HMAC_SHA256`, has('has ALGORITHM instead of algorithm')],
  ])('is refused with the settings %j, whatever signed it', async (value, reason) => {
    const headers = { [SETTINGS]: value };
    expect(await reasonOf({ ...sharedKeyPost(OLD), headers })).toBe(reason);
    expect(await reasonOf({ headers })).toBe(reason);
  });

  it('is refused with the header twice, even if both say the same', async () => {
    const headers = { [SETTINGS]: [settings(OLD), settings(OLD)] };
    expect(await reasonOf({ ...sharedKeyPost(OLD), headers })).toBe(has('came more than once'));
    const halves = { [SETTINGS]: [`key=${OLD}`, 'algorithm=HMAC_SHA256'] };
    expect(await reasonOf({ ...sharedKeyPost(OLD), headers: halves })).toBe(has('came more than once'));
  });

  it.each([
    ["a shared key's", secrets[OLD] ?? ''],
    ["the auth token's", demoAccount.authToken],
  ])('is refused without the header: %s SHA-256 signature', async (_, secret) => {
    const { parameters, signature } = sharedKeyPost(OLD, secret);
    expect(await reasonOf({ parameters, signature })).toBe(
      'its signature does not match: compare the URL and the auth token',
    );
  });

  it('leaves the auth token valid for callbacks without the header', async () => {
    expect(await statusOf({ parameters: statusParameters() })).toBe(204);
  });

  it('leaves no secret, and no warning of a library, in the log', () => {
    const log = JSON.stringify(application.logs.lines);
    for (const secret of [...Object.values(secrets), demoAccount.authToken])
      expect(log).not.toContain(secret);
    expect(log).not.toContain('Unsupported webhook signature algorithm');
  });

  it('accepts header values only if they name one key and HMAC_SHA256', () => {
    const piece = fc.constantFrom('key', 'algorithm', 'Key', '=', ',', ' ', 'a', 'HMAC_SHA256', 'HMAC_SHA1');
    const header = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    let accepted = 0;
    fc.assert(
      fc.property(header, (value) => {
        const read = readSignatureSettings([value]);
        if ('fault' in read) return;
        accepted += 1;
        const parts = value.split(',').map((part) => part.split(/=(.*)/s).map((text) => text.trim()));
        expect(parts.filter(([name]) => /^key$/i.test(name ?? ''))).toEqual([['key', read.keyId, '']]);
        expect(parts.filter(([name]) => /^algorithm$/i.test(name ?? ''))).toEqual([
          ['algorithm', 'HMAC_SHA256', ''],
        ]);
        expect(read.keyId).not.toBe('');
      }),
      { numRuns: 20_000, examples: [[settings('a')]] },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});

describe('a callback that names a shared key while none is configured', () => {
  it('is refused, and the log says which variable to set', async () => {
    const application = await TestApplication.start();
    const { status } = await postCallback(application, sharedKeyPost(OLD));
    const log = JSON.stringify(application.logs.lines);
    await application.close();
    expect(status).toBe(403);
    expect(log).toContain(`the shared key ${OLD}, which is not in TWILIO_WEBHOOK_SHARED_KEYS`);
  });
});
