import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ACCOUNT, WEBHOOK_PATH } from '../callbacks.js';

const BODY_BYTES = 64 * 1024;

/** As long as a signature, so that the service must check it. */
const FORGED = `${'A'.repeat(27)}=`;

const ACCOUNT_SID = `AccountSid=${ACCOUNT.sid}`;

const FORM_BODIES = {
  'many short names': () => numbered((index) => `&${index.toString(36)}`),
  '499 names': () => Array.from({ length: 499 }, (_, index) => `&${'n'.repeat(120)}${index}=`).join(''),
  'one long value': () => `&a=${'x'.repeat(BODY_BYTES)}`,
  'one name, repeated': () => numbered(() => '&a'),
  'one name, repeated 499 times': () =>
    Array.from({ length: 499 }, (_, index) => `&a=${'v'.repeat(120)}${index}`).join(''),
  'all percent-encoded': () => `&a=${'%41'.repeat(BODY_BYTES / 3)}`,
  'broken UTF-8': () =>
    Array.from({ length: 499 }, (_, index) => `&${'%FF'.repeat(40)}${index}=%FF`).join(''),
} as const;

const JSON_BODIES = {
  'JSON, deep': () => `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`,
  'JSON, many names': () =>
    `[${numbered((index) => `${index === 0 ? '' : ','}{"x${index.toString(36)}":1}`)}]`,
  'JSON, many numbers': () => `[1${numbered(() => ',1e9')}]`,
} as const;

const OTHER_SHAPES = [
  'small form',
  'no signature',
  'JSON, small and deep',
  'many headers',
  'query of broken UTF-8',
  'chunks of one byte',
  'new connections',
] as const;

type Other = (typeof OTHER_SHAPES)[number];

export type UnsignedShape = keyof typeof FORM_BODIES | keyof typeof JSON_BODIES | Other;

export const UNSIGNED_SHAPES: readonly UnsignedShape[] = [
  ...(Object.keys(FORM_BODIES) as (keyof typeof FORM_BODIES)[]),
  ...(Object.keys(JSON_BODIES) as (keyof typeof JSON_BODIES)[]),
  ...OTHER_SHAPES,
];

/** Repeats a part as often as fits into the longest body. */
function numbered(partOf: (index: number) => string): string {
  const parts: string[] = [];
  let length = 100;
  for (let index = 0; length < BODY_BYTES - 30; index += 1) {
    const part = partOf(index);
    length += part.length;
    parts.push(part);
  }
  return parts.join('');
}

interface Parts {
  readonly query?: string;
  readonly type?: 'x-www-form-urlencoded' | 'json';
  readonly headers?: readonly string[];
  readonly body: string;
}

function request({ query = '', type = 'x-www-form-urlencoded', headers = [], body }: Parts): Buffer {
  const length = headers.some((header) => /^transfer-encoding/i.test(header))
    ? []
    : [`Content-Length: ${Buffer.byteLength(body)}`];
  const head = [`POST ${WEBHOOK_PATH}${query} HTTP/1.1`, 'Host: x', `Content-Type: application/${type}`];
  return Buffer.from([...head, ...length, ...headers, '', body].join('\r\n'));
}

const SIGNED = `X-Twilio-Signature: ${FORGED}`;

function json(body: string): Buffer {
  const query = `?bodySHA256=${createHash('sha256').update(body).digest('hex')}`;
  return request({ query, type: 'json', headers: [SIGNED], body });
}

function form(body: string): Buffer {
  return request({ headers: [SIGNED], body: (ACCOUNT_SID + body).slice(0, BODY_BYTES) });
}

function requestOf(shape: UnsignedShape): Buffer {
  if (shape in FORM_BODIES) return form(FORM_BODIES[shape as keyof typeof FORM_BODIES]());
  if (shape in JSON_BODIES) return json(JSON_BODIES[shape as keyof typeof JSON_BODIES]());
  switch (shape as Other) {
    case 'small form':
    case 'new connections':
      return form('&MessageSid=SM1&MessageStatus=sent');
    case 'no signature':
      return request({ body: `${ACCOUNT_SID}&a=${'x'.repeat(BODY_BYTES)}`.slice(0, BODY_BYTES) });
    case 'JSON, small and deep':
      return json(`${'{"a":'.repeat(1_300)}1${'}'.repeat(1_300)}`);
    case 'many headers':
      return request({ headers: [SIGNED, ...Array<string>(2_500).fill('a:b')], body: ACCOUNT_SID });
    case 'query of broken UTF-8':
      return request({ query: `?${'%FF&'.repeat(3_500)}`, headers: [SIGNED], body: ACCOUNT_SID });
    case 'chunks of one byte':
      return request({
        headers: [SIGNED, 'Transfer-Encoding: chunked'],
        body: `${'1\r\na\r\n'.repeat(BODY_BYTES - 1)}0\r\n\r\n`,
      });
  }
}

/** Sends the next request once an answer has begun, on a new connection if the last one was closed. */
function send(port: number, bytes: Buffer, isNew: boolean, answered: () => void): void {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let hasFailed = false;
  socket.write(bytes);
  socket.on('data', (chunk: Buffer) => {
    if (!chunk.toString('latin1', 0, 9).startsWith('HTTP/1.1')) return;
    answered();
    if (isNew) socket.destroy();
    else socket.write(bytes);
  });
  socket.on('error', () => {
    hasFailed = true;
  });
  socket.on('close', () => {
    setTimeout(send, hasFailed && !isNew ? 5 : 0, port, bytes, isNew, answered);
  });
}

const [, program = '', port, connections, shape] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  let count = 0;
  const bytes = requestOf(shape as UnsignedShape);
  for (let index = 0; index < Number(connections); index += 1) {
    send(Number(port), bytes, shape === 'new connections', () => {
      count += 1;
    });
  }
  process.on('message', () => process.send?.(count));
  process.on('disconnect', () => process.exit());
  process.send?.(0);
}
