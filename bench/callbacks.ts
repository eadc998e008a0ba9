import { createHash } from 'node:crypto';
import { smsStatusParameters, whatsappStatusParameters } from '../simulator/callback-parameters.js';
import type { FormParameters } from '../simulator/form-parameters.js';
import { signRequest } from '../simulator/signed-request.js';
import type { Turn } from './load/run-turn.js';
import type { BenchOptions } from './options.js';

/** A fictional account and token. */
export const ACCOUNT = { sid: 'ACb0000000000000000000000000000001', token: 'bench-token-of-the-account' };

/** The public origin, as Twilio knows it: every contender checks signatures against it. */
export const PUBLIC_BASE_URL = 'https://hooks.example.com';

export const WEBHOOK_PATH = '/api/webhooks/twilio/message-status';

/** Also valid if a measurement configures it. */
export const SECONDARY_TOKEN = 'bench-token-for-rotation';

/**
 * How callbacks arrive. The number of open connections in a campaign follows from the network latency: at 3,000
 * callbacks a second and a round trip of 40 ms, about 120 are open. So `many` models Twilio's distance, and `kept` a
 * nearby proxy.
 */
export type Traffic = 'kept' | 'many' | 'new';

/** The traffic on kept connections. */
export const KEPT_TRAFFIC = ['kept', 'many'] as const satisfies readonly Traffic[];

/** All traffic, in the order of the turns. */
export const TRAFFIC: readonly Traffic[] = [...KEPT_TRAFFIC, 'new'];

type ConnectionOptions = Pick<BenchOptions, 'connections' | 'manyConnections'>;

/** Builds the load generator's turn. */
export function turnWith(
  traffic: Traffic,
  { milliseconds, connections, manyConnections }: ConnectionOptions & Pick<BenchOptions, 'milliseconds'>,
): Pick<Turn, 'mode' | 'connections' | 'milliseconds'> {
  switch (traffic) {
    case 'kept':
      return { mode: 'kept', connections, milliseconds };
    case 'many':
      return { mode: 'kept', connections: manyConnections, milliseconds };
    case 'new':
      return { mode: 'new', connections, milliseconds: milliseconds / 2 };
  }
}

export function titleOf(traffic: Traffic, { connections, manyConnections }: ConnectionOptions): string {
  switch (traffic) {
    case 'kept':
      return `${connections} kept connections`;
    case 'many':
      return `${manyConnections} kept connections`;
    case 'new':
      return `new connections, ${connections} at once`;
  }
}

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
  const messageSid = failedSidOf(index);
  const to = failedNumberOf(index);
  return { messageSid, to, request: Buffer.concat([REQUEST_LINES.kept, failureOf(index)]) };
}

/** Returns the SID of a WhatsApp message that Meta refused. */
export function failedSidOf(index: number): string {
  return `SM${createHash('md5').update(`policy failure ${index}`).digest('hex')}`;
}

/** Returns its recipient, which no other one has. */
export function failedNumberOf(index: number): string {
  return `+1666${String(index).padStart(7, '0')}`;
}

/** Returns the callback of its failure, without the request line. */
export function failureOf(index: number): Buffer {
  const [messageSid, to] = [failedSidOf(index), failedNumberOf(index)];
  const parameters = whatsappStatusParameters({
    ...{ messageSid, to, from: '+14155238886', accountSid: ACCOUNT.sid },
    ...{ status: 'undelivered', errorCode: 63049, errorMessage: 'Meta chose not to deliver this message' },
  });
  return signed(parameters);
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
 * Returns the field sets of real captures, in bodies of 400 to 600 bytes. None is a policy failure, since most
 * peers do not handle those.
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
