import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { parse } from 'node:querystring';
import {
  getExpectedTwilioSignature,
  HMAC_SHA1,
  HMAC_SHA256,
  validateRequest,
  validateRequestWithBody,
} from 'twilio/lib/webhooks/webhooks.js';
import { hasTooManyParameters, parseForm, unescapeAnything } from '../../src/webhooks/parse-form.js';
import { isSignature, namesHashOf, signedText, signingSecret } from '../../src/webhooks/twilio-signature.js';

const SECRETS = ['first', 'second'] as const;

/** URLs with everything that the library treats differently: ports, users, IPv6, and rewritten queries. */
const url = fc
  .tuple(
    fc.constantFrom('https://', 'http://', 'HTTPS://'),
    fc.constantFrom('', 'user:pass@', 'a@b@'),
    fc.constantFrom('example.com', 'Example.COM', '[::1]', '127.0.0.1'),
    fc.constantFrom('', ':443', ':80', ':8443', ':'),
    fc.constantFrom('', '/', '/a b', "/it's/%7e", '/ü'),
    fc.array(fc.constantFrom('?', '&', '=', "'", '%', '%41', '%zz', '%FF', 'a', '+', ' ', '"', 'é', '#'), {
      maxLength: 8,
    }),
  )
  .map(([scheme, user, host, port, path, query]) => scheme + user + host + port + path + query.join(''));

/** Another form of the URL, which a back end may have signed. */
function formsOf(text: string): string[] {
  const normalized = new URL(text).toString();
  const [path = '', query = ''] = normalized.split(/\?(.*)/s);
  const legacy = `${path}?${new URLSearchParams(parse(query) as Record<string, string>).toString()}`;
  const forms = [text, normalized, legacy];
  return [
    ...forms,
    ...forms.flatMap((form) => [
      form.replace(/:\d+(?=\/|$|\?)/, ''),
      form.replace(/(:\d+)?(?=\/[^/])/, ':443'),
    ]),
  ];
}

const parameters = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.array(fc.string(), { minLength: 1 })));

describe('the check of a signature', () => {
  it.each([HMAC_SHA1, HMAC_SHA256] as const)(
    "accepts what Twilio's library accepts, and nothing else: %s",
    (algorithm) => {
      fc.assert(
        fc.property(
          url,
          parameters,
          fc.nat(8),
          fc.constantFrom(...SECRETS, 'other'),
          (text, given, form, secret) => {
            fc.pre(URL.canParse(text));
            const forms = formsOf(text);
            const signed = forms[form % forms.length] ?? text;
            const signature = getExpectedTwilioSignature(secret, signed, given, algorithm);
            const expected = SECRETS.find((one) => validateRequest(one, signature, text, given, algorithm));
            const claim = { signature, algorithm };
            expect(isSignature(claim)).toBe(true);
            expect(signingSecret(SECRETS, claim, { url: text, text: signedText(given) })).toBe(expected);
          },
        ),
        { numRuns: 3_000 },
      );
    },
  );

  it("accepts the hash of JSON that Twilio's library accepts", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('right', 'upper', 'wrong', 'none'),
        (body, which) => {
          const hash = createHash('sha256').update(body).digest('hex');
          const query = { right: hash, upper: hash.toUpperCase(), wrong: hash.replace(/./, 'x'), none: '' }[
            which
          ];
          const text = `https://example.com/?a=b&bodySHA256=${query}`;
          const signature = getExpectedTwilioSignature('first', text, {});
          const expected = validateRequestWithBody('first', signature, text, body);
          expect(namesHashOf(Buffer.from(body), text)).toBe(expected);
        },
      ),
    );
  });

  it.each([
    '',
    'forged',
    'A'.repeat(28),
    `${'A'.repeat(26)}==`,
    `${'A'.repeat(28)}=`,
    `${'-'.repeat(27)}=`,
    `${'A'.repeat(43)}=`,
  ])('is skipped for what cannot be a signature: %j', (signature) => {
    expect(isSignature({ signature, algorithm: 'HMAC_SHA1' })).toBe(false);
  });

  it('sorts and joins the parameters once, however many candidates there are', () => {
    let reads = 0;
    const given = new Proxy(
      { b: '2', a: ['y', 'x', 'y'] },
      {
        ownKeys: (target) => {
          reads += 1;
          return Reflect.ownKeys(target);
        },
      },
    );
    const text = signedText(given);
    expect(text.toString()).toBe('axayb2');
    const claim = { signature: `${'A'.repeat(27)}=`, algorithm: 'HMAC_SHA1' } as const;
    signingSecret(['1', '2', '3'], claim, { url: 'https://example.com:8443/?a=b', text });
    expect(reads).toBe(1);
  });
});

describe('a form that is not verified yet', () => {
  it('is counted up to 500 parameters, whatever they are', () => {
    expect(hasTooManyParameters('')).toBe(false);
    expect(hasTooManyParameters('a&'.repeat(499) + 'a')).toBe(false);
    for (const part of ['a&', '&', 'a=b&', '%41&'])
      expect(hasTooManyParameters(part.repeat(500) + 'a')).toBe(true);
  });

  it('with broken UTF-8 throws once, for any number of parameters', () => {
    const { decodeURIComponent: original } = globalThis;
    let thrown = 0;
    globalThis.decodeURIComponent = (text) => {
      try {
        return original(text);
      } catch (error) {
        thrown += 1;
        throw error;
      }
    };
    try {
      const parsed = parseForm(Array.from({ length: 400 }, (_, index) => `%FF${index}=%C3%28`).join('&'));
      expect(Object.entries(parsed)[399]).toEqual(['\uFFFD399', '\uFFFD(']);
    } finally {
      globalThis.decodeURIComponent = original;
    }
    expect(thrown).toBe(1);
  });

  it('is unescaped as decodeURIComponent does if that is possible', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(unescapeAnything(encodeURIComponent(text))).toBe(text);
        expect(unescapeAnything(text.replaceAll('%', ''))).toBe(text.replaceAll('%', ''));
      }),
    );
  });
});
