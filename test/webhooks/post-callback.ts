import { request } from 'node:http';
import type { IncomingHttpHeaders, RequestOptions } from 'node:http';
import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { formatForm, type FormParameters } from '../../simulator/form-parameters.js';
import { PUBLIC_BASE_URL, WEBHOOK_PATH } from '../support/application.js';
import { randomMessageSid } from '../support/seed.js';

export const FORM = 'application/x-www-form-urlencoded; charset=utf-8';

export interface CallbackPost {
  /** Default POST. */
  method?: string;
  /** What is signed, and what the body is made of. */
  parameters?: FormParameters;
  /** The bytes of the body, where they are others. */
  body?: string | Buffer;
  /** Path and query string, sent exactly as they are written. */
  target?: string;
  /** The URL that is signed. */
  signedUrl?: string;
  token?: string;
  /** Instead of the right one; null for none. */
  signature?: string | null;
  contentType?: string | null;
  headers?: Record<string, string | string[]>;
  /** The sender's address. Refusals are counted by address, so each request comes from another one. */
  from?: string;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** A body as Nest writes it for an error. */
export interface ErrorBody {
  statusCode: number;
  message: string | string[];
  error?: string;
}

let addresses = 0;

/** Another address of this computer at each call. */
export function nextAddress(): string {
  addresses += 1;
  return `127.${1 + ((addresses >> 16) & 127)}.${(addresses >> 8) & 255}.${addresses & 255}`;
}

/** An SMS's callback of a message that no other callback is about. */
export function statusParameters(extra: FormParameters = {}): FormParameters {
  return smsStatusParameters({
    messageSid: randomMessageSid(),
    status: 'sent',
    to: '+15557654321',
    from: '+15550001111',
    extra,
  });
}

/** Sends a callback byte for byte as it is described, signed as Twilio's own library signs. */
export function postCallback(application: { origin: string }, post: CallbackPost = {}): Promise<Answer> {
  const { parameters = statusParameters(), target = WEBHOOK_PATH, token = demoAccount.authToken } = post;
  const { method = 'POST' } = post;
  const { body = formatForm(parameters), signedUrl = PUBLIC_BASE_URL + target, contentType = FORM } = post;
  const { signature = getExpectedTwilioSignature(token, signedUrl, parameters) } = post;
  const localAddress = post.from ?? nextAddress();
  const headers = {
    ...(contentType === null ? {} : { 'Content-Type': contentType }),
    ...(signature === null ? {} : { 'X-Twilio-Signature': signature }),
    ...(post.headers?.['Transfer-Encoding'] === undefined && {
      'Content-Length': String(Buffer.byteLength(body)),
    }),
    ...post.headers,
  };
  return send(new URL(application.origin), { method, path: target, headers, localAddress }, body);
}

function send(origin: URL, options: RequestOptions, body: string | Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(origin, { ...options, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** The body of an error; fails for one that is not in Nest's shape. */
export function errorBody({ status, headers, text }: Answer): ErrorBody {
  const body = JSON.parse(text) as ErrorBody;
  if (body.statusCode !== status || !String(headers['content-type']).startsWith('application/json')) {
    throw new Error(`Not an error as Nest writes it: ${text}`);
  }
  const unexpected = Object.keys(body).filter((name) => !['statusCode', 'message', 'error'].includes(name));
  if (unexpected.length > 0 || text.includes('node_modules')) throw new Error(`It tells too much: ${text}`);
  return body;
}
