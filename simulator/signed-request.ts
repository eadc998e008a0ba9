import { randomUUID } from 'node:crypto';
import { getExpectedBodyHash, getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
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

export interface UnsignedCallback {
  /** The public URL as it was given to Twilio; its fragment takes no part. */
  readonly url: string;
  readonly parameters: FormParameters;
  readonly authToken: string;
  /** `json` puts the body's hash into the query as `bodySHA256` and signs the URL only. Default `form`. */
  readonly format?: 'form' | 'json';
}

/** Signs with the functions of Twilio's own library. The header names are those of real captures. */
export function signRequest(callback: UnsignedCallback): SignedRequest {
  const { parameters, authToken, format = 'form' } = callback;
  const json = format === 'json';
  const body = json ? JSON.stringify(parameters) : formatForm(parameters);
  const url = json ? withBodyHash(withoutFragment(callback.url), body) : withoutFragment(callback.url);
  return {
    url,
    headers: {
      'Content-Type': json ? 'application/json' : 'application/x-www-form-urlencoded; charset=utf-8',
      'User-Agent': 'TwilioProxy/1.1',
      Accept: '*/*',
      'X-Twilio-Signature': getExpectedTwilioSignature(authToken, url, json ? {} : parameters),
      'i-twilio-idempotency-token': randomUUID(),
    },
    body,
  };
}

function withBodyHash(url: string, body: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}bodySHA256=${getExpectedBodyHash(body)}`;
}
