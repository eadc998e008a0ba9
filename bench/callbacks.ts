import { createHash } from 'node:crypto';
import { smsStatusParameters, whatsappStatusParameters } from '../simulator/callback-parameters.js';
import type { FormParameters } from '../simulator/form-parameters.js';
import { signRequest } from '../simulator/signed-request.js';
import { ACCOUNT, PUBLIC_BASE_URL, WEBHOOK_PATH } from './account.js';

const STATUSES = [
  'sent',
  'delivered',
  'read',
  'delivered',
  'sent',
  'undelivered',
  'read',
  'delivered',
] as const;

/** The request line and the headers for each kind of connection. */
export const REQUEST_LINES = {
  kept: Buffer.from(`POST ${WEBHOOK_PATH} HTTP/1.1\r\n`),
  new: Buffer.from(`POST ${WEBHOOK_PATH} HTTP/1.1\r\nConnection: close\r\n`),
} as const;

const MESSAGING_SERVICE_SID = 'MG0123456789abcdef0123456789abcdef';

/** Returns a random SID for each index, like Twilio's; the same one in every process. */
export function messageSidOf(index: number): string {
  return `SM${createHash('md5').update(`callback ${index}`).digest('hex')}`;
}

/**
 * Returns a callback as bytes of HTTP/1.1, without the request line: two of three are for WhatsApp, one in eight
 * reports a failure.
 */
export function callbackOf(index: number): Buffer {
  return signed(parametersOf(index));
}

/** A WhatsApp message that Meta refused, and its callback. */
export interface PolicyFailure {
  readonly messageSid: string;
  /** Unique for each message. */
  readonly to: string;
  /** The request with its request line. */
  readonly request: Buffer;
}

export function policyFailureOf(index: number): PolicyFailure {
  const messageSid = `SM${createHash('md5').update(`policy failure ${index}`).digest('hex')}`;
  const to = `+1666${String(index).padStart(7, '0')}`;
  const parameters = whatsappStatusParameters({
    ...{ messageSid, to, from: '+14155238886', accountSid: ACCOUNT.sid },
    ...{ status: 'undelivered', errorCode: 63049, errorMessage: 'Meta chose not to deliver this message' },
  });
  return { messageSid, to, request: Buffer.concat([REQUEST_LINES.kept, signed(parameters)]) };
}

function signed(parameters: FormParameters): Buffer {
  const url = PUBLIC_BASE_URL + WEBHOOK_PATH;
  const { headers, body } = signRequest({ url, parameters, authToken: ACCOUNT.token });
  const lines = [
    `Host: ${new URL(PUBLIC_BASE_URL).host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

/**
 * Returns the field sets of real captures, in bodies of 400 to 600 bytes. None is a policy failure, since the peers do
 * not handle those.
 */
function parametersOf(index: number): FormParameters {
  const messageSid = messageSidOf(index);
  const status = STATUSES[index % STATUSES.length] ?? 'sent';
  const to = `+1555${String(index % 10_000_000).padStart(7, '0')}`;
  const failure = status === 'undelivered';
  if (index % 3 === 0) {
    return smsStatusParameters({
      messageSid,
      status: status === 'read' ? 'delivered' : status,
      to,
      from: '+15005550006',
      accountSid: ACCOUNT.sid,
      messagingServiceSid: MESSAGING_SERVICE_SID,
      ...(failure && { errorCode: 30003 }),
      extra: { ToCity: 'SAN FRANCISCO', ToCountry: 'US' },
    });
  }
  return whatsappStatusParameters({
    messageSid,
    status,
    to,
    from: '+14155238886',
    accountSid: ACCOUNT.sid,
    ...(failure && {
      errorCode: 63024,
      errorMessage: 'Invalid message recipient',
    }),
    extra: {
      ChannelInstallSid: 'XE0123456789abcdef0123456789abcdef',
      EventType: status.toUpperCase(),
      MessagingServiceSid: MESSAGING_SERVICE_SID,
      ExternalUserId: `US.${createHash('md5').update(to).digest('hex').slice(0, 16)}`,
    },
  });
}
