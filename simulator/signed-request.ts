import { randomUUID } from 'node:crypto';
import {
  getExpectedBodyHash,
  getExpectedTwilioSignature,
  HMAC_SHA1,
  HMAC_SHA256,
  SIGNATURE_SETTINGS_HEADER,
} from 'twilio/lib/webhooks/webhooks.js';
import { withoutFragment } from './connection-overrides.js';
import { formatForm } from './form-parameters.js';
import type { FormParameters } from './form-parameters.js';

/** A POST as Twilio would send it, before it has been sent. */
export interface SignedRequest {
  /** The public URL that was signed, without its fragment. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * A key of Twilio's webhook configuration API (public beta), which signs instead of the auth token
 * (https://www.twilio.com/docs/usage/webhooks/webhook-settings).
 */
export interface SharedKey {
  /** `webhooks_sharedkey_…` */
  readonly id: string;
  readonly secret: string;
  /** As the header names it; default HMAC_SHA256, which also signs for a name that Twilio does not know. */
  readonly algorithm?: string;
}

export interface UnsignedCallback {
  /** The public URL as it was given to Twilio; its fragment is not signed. */
  readonly url: string;
  readonly parameters: FormParameters;
  readonly authToken: string;
  /** Signs instead of the token. */
  readonly sharedKey?: SharedKey;
  /** `json` puts the body's hash into the query as `bodySHA256` and signs the URL only. Default `form`. */
  readonly format?: 'form' | 'json';
}

/** Signs with the functions of Twilio's own library. The header names are those of real captures. */
export function signRequest(callback: UnsignedCallback): SignedRequest {
  const { parameters, format = 'form' } = callback;
  const json = format === 'json';
  const body = json ? JSON.stringify(parameters) : formatForm(parameters);
  const url = json ? withBodyHash(withoutFragment(callback.url), body) : withoutFragment(callback.url);
  return {
    url,
    headers: {
      'Content-Type': json ? 'application/json' : 'application/x-www-form-urlencoded; charset=utf-8',
      'User-Agent': 'TwilioProxy/1.1',
      Accept: '*/*',
      ...signatureHeaders(callback, url, json ? {} : parameters),
      'i-twilio-idempotency-token': randomUUID(),
    },
    body,
  };
}

function signatureHeaders(
  { authToken, sharedKey }: UnsignedCallback,
  url: string,
  parameters: FormParameters,
): Record<string, string> {
  if (sharedKey === undefined) {
    return { 'X-Twilio-Signature': getExpectedTwilioSignature(authToken, url, parameters) };
  }
  const { id, secret, algorithm = HMAC_SHA256 } = sharedKey;
  const known = algorithm === HMAC_SHA1 ? HMAC_SHA1 : HMAC_SHA256;
  return {
    'X-Twilio-Signature': getExpectedTwilioSignature(secret, url, parameters, known),
    [SIGNATURE_SETTINGS_HEADER]: `key=${id},algorithm=${algorithm}`,
  };
}

function withBodyHash(url: string, body: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}bodySHA256=${getExpectedBodyHash(body)}`;
}
