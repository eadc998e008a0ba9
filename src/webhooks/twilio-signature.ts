import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { parse, stringify } from 'node:querystring';
import type { CallbackParameters } from './callback-request.js';
import { unescapeAnything } from './parse-form.js';

export interface WebhooksModuleOptions {
  /**
   * The origin that Twilio calls, without a slash at its end, e.g. `https://hooks.example.com`. Default: the origin of
   * the request, with the forwarded headers if Express trusts the proxy.
   */
  publicBaseUrl?: string;
  /** How many refused requests of one address are answered 403 and logged within a minute; then 429. Default 10. */
  refusalsPerMinute?: number;
}

export const MODULE_OPTIONS_TOKEN = Symbol('WebhooksModuleOptions');

/** The header with which Twilio names the shared key of a signature: `key=<key ID>,algorithm=HMAC_SHA256`. */
export const SIGNATURE_SETTINGS_HEADER = 'x-twilio-webhooks-signature-settings';

export const SHARED_KEY_ALGORITHM = 'HMAC_SHA256';

/** An ID has about 60 characters; the log shows no more of a longer one. */
const SHOWN_CHARACTERS = 80;

const NAMES = ['key', 'algorithm'] as const;

/** The ID of the shared key that signed a request, or what is wrong with the header. */
export type SignatureSettings = { readonly keyId: string } | { readonly fault: string };

/**
 * Reads the signature settings of a request. This is stricter than `getSignatureAlgorithm` of Twilio's library: an
 * ambiguous or non-HMAC-SHA256 setting never leads to a check with another key or algorithm. Unknown parts are ignored.
 * @param headers each value of the header, as it was sent.
 */
export function readSignatureSettings(headers: readonly string[]): SignatureSettings {
  const [header = '', ...others] = headers;
  if (others.length > 0) return faulty('came more than once');
  const parts = header.split(',').map(readPart);
  for (const { name } of parts) {
    const [meant] = NAMES.filter((known) => known === name.toLowerCase() && known !== name);
    if (meant !== undefined) return faulty(`has ${shown(name)} instead of ${meant}`);
  }
  const values = NAMES.map((known) => parts.filter(({ name }) => name === known).map(({ value }) => value));
  for (const [index, name] of NAMES.entries()) {
    const [value, ...repeated] = values[index] ?? [];
    if (value === undefined) return faulty(`has no ${name}`);
    if (repeated.length > 0) return faulty(`has more than one ${name}`);
    if (value === '') return faulty(`has an empty ${name}`);
  }
  const [[keyId = ''] = [], [algorithm = ''] = []] = values;
  if (algorithm === SHARED_KEY_ALGORITHM) return { keyId };
  return faulty(`names the algorithm ${shown(algorithm)}: only ${SHARED_KEY_ALGORITHM} is accepted`);
}

/** Makes the text of a request header safe for the log. */
export function shown(text: string): string {
  const visible = text.replaceAll(/[^\x21-\x7e]/g, '?');
  return visible.length > SHOWN_CHARACTERS ? `${visible.slice(0, SHOWN_CHARACTERS)}…` : visible;
}

function readPart(part: string): { readonly name: string; readonly value: string } {
  const equals = part.indexOf('=');
  if (equals === -1) return { name: part.trim(), value: '' };
  return { name: part.slice(0, equals).trim(), value: part.slice(equals + 1).trim() };
}

function faulty(what: string): SignatureSettings {
  return { fault: `its X-Twilio-Webhooks-Signature-Settings header ${what}` };
}

/** The base64 of a hash has one length. */
const ALGORITHMS = {
  HMAC_SHA1: { hash: 'sha1', base64: /^[\da-zA-Z+/]{27}=$/ },
  HMAC_SHA256: { hash: 'sha256', base64: /^[\da-zA-Z+/]{43}=$/ },
} as const;

type SignatureAlgorithm = keyof typeof ALGORITHMS;

/** The longest query of a URL that is normalized. Queries that operators configure have a few dozen characters. */
const LONGEST_QUERY = 2_048;

/** What a signature covers. */
export interface SignedContent {
  readonly url: string;
  /** The result of signedText() for a form; empty for JSON, whose hash is in the URL. */
  readonly text: Buffer;
}

/** The signature in a request's headers. */
export interface SignatureClaim {
  readonly signature: string;
  readonly algorithm: SignatureAlgorithm;
}

/** Whether a text has the form of a signature; any other text matches nothing. */
export function isSignature({ signature, algorithm }: SignatureClaim): boolean {
  return ALGORITHMS[algorithm].base64.test(signature);
}

/**
 * The parameters as Twilio signs them: sorted by name, each name with its value, and with each of its different values if
 * it is repeated. Sorted once for all secrets and forms of the URL: Twilio's library sorts for each of them.
 */
export function signedText(parameters: CallbackParameters): Buffer {
  const parts = Object.keys(parameters)
    .sort()
    .map((name) => {
      const value = parameters[name];
      if (!Array.isArray(value)) return name + String(value);
      return [...new Set(value.map(String))]
        .sort()
        .map((one) => name + one)
        .join('');
    });
  return Buffer.from(parts.join(''));
}

/**
 * Finds the secret with which `validateRequest` of Twilio's library accepts the signature, at a bounded cost. The URL
 * counts as it was received and as `new URL()` writes it, with and without its port.
 * @throws TypeError for a malformed URL.
 */
export function signingSecret(
  secrets: readonly string[],
  { signature, algorithm }: SignatureClaim,
  { url, text }: SignedContent,
): string | undefined {
  const { hash } = ALGORITHMS[algorithm];
  const given = Buffer.from(signature);
  const signs = (form: string) => (secret: string) => {
    const expected = Buffer.from(createHmac(hash, secret).update(form).update(text).digest('base64'));
    return expected.length === given.length && timingSafeEqual(expected, given);
  };
  const tried = new Set<string>();
  const tryForms = (forms: readonly string[]): string | undefined => {
    for (const form of forms) {
      if (tried.has(form)) continue;
      tried.add(form);
      const secret = secrets.find(signs(form));
      if (secret !== undefined) return secret;
    }
    return undefined;
  };
  return tryForms(withAndWithoutPort(url)) ?? tryForms(normalizedForms(url));
}

/** Whether the query names the body's SHA-256, as Twilio signs JSON. @throws TypeError for a malformed URL. */
export function namesHashOf(body: Buffer, url: string): boolean {
  const named = new URL(url).searchParams.get('bodySHA256') ?? '';
  if (named.length !== 64) return false;
  const expected = Buffer.from(createHash('sha256').update(body).digest('hex'));
  const given = Buffer.from(named);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/**
 * Returns the URL forms to check, including the query as Node's `querystring` writes it, for back ends that signed an
 * escaped form.
 */
function normalizedForms(url: string): string[] {
  const normalized = new URL(url).toString();
  const forms = withAndWithoutPort(normalized);
  const start = normalized.indexOf('?') + 1;
  const query = normalized.slice(start);
  if (start === 0 || query === '' || query.length > LONGEST_QUERY) return forms;
  const legacyQuery = stringify(parse(query, '&', '=', { decodeURIComponent: unescapeAnything }));
  return [...forms, ...forms.map((form) => form.slice(0, -query.length) + legacyQuery)];
}

function withAndWithoutPort(url: string): string[] {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)/i.exec(url);
  if (match === null) return [url];
  const [prefix, scheme = '', authority = ''] = match;
  const rest = url.slice(prefix.length);
  const userEnd = authority.lastIndexOf('@') + 1;
  const hostAndPort = authority.slice(userEnd);
  // In an IPv6 address, only a colon after the bracket starts the port.
  const portStart = hostAndPort.indexOf(':', hostAndPort.lastIndexOf(']') + 1);
  const host =
    authority.slice(0, userEnd) + (portStart === -1 ? hostAndPort : hostAndPort.slice(0, portStart));
  const port = scheme.toLowerCase() === 'https://' ? ':443' : ':80';
  return [scheme + host + rest, portStart === -1 ? scheme + host + port + rest : url];
}
