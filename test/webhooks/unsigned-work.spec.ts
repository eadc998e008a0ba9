import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { connect, type Socket } from 'node:net';
import { demoAccount } from '../../simulator/demo-account.js';
import { UnsignedWork } from '../../src/webhooks/unsigned-work.js';
import { TestApplication, WEBHOOK_PATH } from '../support/application.js';
import { until } from '../support/until.js';
import { errorBody, nextAddress, postCallback, statusParameters } from './post-callback.js';

const FORGED = `X-Twilio-Signature: ${'A'.repeat(27)}=`;
const FORM = 'Content-Type: application/x-www-form-urlencoded';
const LONGEST = 64 * 1024;

function requestOf(body: string, ...headers: string[]): string {
  const head = [`POST ${WEBHOOK_PATH} HTTP/1.1`, 'Host: x', FORM, ...headers];
  return [...head, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
}

const account = `AccountSid=${demoAccount.sid}`;
const manyNames = Array.from({ length: 17_000 }, (_, index) => `&${index.toString(36)}`).join('');

const HOSTILE: [string, string][] = [
  ['many short names', requestOf((account + manyNames).slice(0, LONGEST), FORGED)],
  ['one long value', requestOf(`${account}&a=${'x'.repeat(LONGEST)}`.slice(0, LONGEST), FORGED)],
  ['no signature', requestOf('x'.repeat(LONGEST))],
  ['a small form', requestOf(account, FORGED)],
];

describe('requests without a valid signature', () => {
  let application: TestApplication;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    application = await TestApplication.start({
      env: { TWILIO_AUTH_TOKEN_SECONDARY: 'secondary', TWILIO_WEBHOOK_SHARED_KEYS: 'one:a,two:b' },
    });
  });

  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await application.close();
  });

  function open(): Socket {
    const { port } = new URL(application.origin);
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: nextAddress() });
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  }

  /** @returns the status of the first answer. */
  function statusOf(...parts: (string | Buffer)[]): Promise<number> {
    return new Promise((resolve) => {
      const socket = open();
      socket.once('data', (data) => {
        resolve(Number(data.toString('latin1', 9, 12)));
        socket.destroy();
      });
      for (const part of parts) socket.write(part);
    });
  }

  it.each(HOSTILE)('leave signed callbacks their 204 while 32 connections send %s', async (_, bytes) => {
    let answers = 0;
    const attackers = Array.from({ length: 32 }, open);
    for (const attacker of attackers) {
      attacker.write(bytes);
      attacker.on('data', () => {
        answers += 1;
        attacker.write(bytes);
      });
    }
    const statuses: number[] = [];
    await until('the attack to go on while callbacks are answered', async () => {
      statuses.push((await postCallback(application)).status);
      return answers > 64 && statuses.length > 20;
    });
    expect(new Set(statuses)).toEqual(new Set([204]));
    for (const attacker of attackers) attacker.destroy();
  });

  it('are refused by their headers, if those cannot be right, before a large body has come', async () => {
    const head = [`POST ${WEBHOOK_PATH} HTTP/1.1`, 'Host: x', FORM, 'Content-Length: 60000'];
    for (const header of [
      'X-Other: x',
      'X-Twilio-Signature: forged',
      'X-Twilio-Webhooks-Signature-Settings: key=x',
    ]) {
      expect(await statusOf([...head, header, '', ''].join('\r\n'))).toBe(403);
    }
    expect(await statusOf([...head.with(3, 'Content-Length: 65537'), FORGED, '', ''].join('\r\n'))).toBe(413);
    expect(await statusOf([...head, FORGED, 'Content-Encoding: gzip', '', ''].join('\r\n'))).toBe(415);
  });

  it('are stopped if a body comes in too many pieces, announced or not', async () => {
    const chunked = [
      `POST ${WEBHOOK_PATH} HTTP/1.1`,
      'Host: x',
      FORM,
      FORGED,
      'Transfer-Encoding: chunked',
      '',
      '',
    ];
    expect(await statusOf(chunked.join('\r\n'), '1\r\na\r\n'.repeat(600))).toBe(400);
    expect(await statusOf(chunked.join('\r\n'), '1\r\na\r\n'.repeat(500), '0\r\n\r\n')).toBe(403);
  });

  it('close their connection if the rest is too large to read', async () => {
    const socket = open();
    let text = '';
    socket.on('data', (data: Buffer) => {
      text += data.toString();
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(`POST ${WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\n${FORM}\r\nContent-Length: 9000000000\r\n\r\n`);
    await closed;
    expect(text).toMatch(/^HTTP\/1.1 413 /);
    expect(text).toMatch(/\r\nConnection: close\r\n/i);
  });

  it('are not parsed as JSON before their signature is known', async () => {
    const parse = jest.spyOn(JSON, 'parse');
    const body = `{"AccountSid":"${demoAccount.sid}","a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const target = `${WEBHOOK_PATH}?bodySHA256=${'0'.repeat(64)}`;
    const post = { target, body, contentType: 'application/json', signature: `${'A'.repeat(27)}=` };
    const answer = await postCallback(application, post);
    const parsed = parse.mock.calls.map(([text]) => text);
    parse.mockRestore();
    expect(answer.status).toBe(403);
    expect(parsed).not.toContain(body);
  });

  it('delay large valid ones at most: those are all answered 204 among large forgeries', async () => {
    const forgeries = Array.from({ length: 40 }, () => statusOf(HOSTILE[1]?.[1] ?? ''));
    const large = Array.from({ length: 5 }, () => statusParameters({ Body: 'x'.repeat(60_000) }));
    const answers = await Promise.all(large.map((parameters) => postCallback(application, { parameters })));
    expect(answers.map(({ status }) => status)).toEqual(Array(5).fill(204));
    expect(new Set(await Promise.all(forgeries))).toEqual(new Set([403]));
  });

  it('do not delay small signed ones that come in chunks, as a proxy may send them', async () => {
    const checkLarge = jest
      .spyOn(application.app.get(UnsignedWork), 'checkLarge')
      .mockResolvedValue('too_many');
    const headers = { 'Transfer-Encoding': 'chunked' };
    const answer = await postCallback(application, { headers });
    const large = await postCallback(application, {
      headers,
      parameters: statusParameters({ Body: 'x'.repeat(60_000) }),
    });
    checkLarge.mockRestore();
    expect(answer.status).toBe(204);
    expect(large).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
  });

  it('have the same answers as before', async () => {
    const answer = await postCallback(application, { signature: `${'A'.repeat(27)}=` });
    expect(errorBody(answer).message).toBe('The request is not signed by a configured Twilio account');
  });
});

describe('the checks of large requests', () => {
  it('run one after the other, in the order of arrival, and end with those that fail', async () => {
    const work = new UnsignedWork();
    const order: number[] = [];
    const checks = Array.from({ length: 20 }, (_, index) =>
      work.checkLarge(() => {
        order.push(index);
        if (index % 5 === 4) throw new Error('as a check may');
        return { fault: index % 2 === 0 ? 'forged' : null };
      }),
    );
    expect(order).toEqual([]);
    const results = await Promise.allSettled(checks);
    expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(4);
  });

  it('have a bounded queue', async () => {
    const work = new UnsignedWork();
    const checks = Array.from({ length: 510 }, () => work.checkLarge(() => ({ fault: null })));
    const results = await Promise.all(checks);
    expect(results.filter((result) => result === 'too_many')).toHaveLength(10);
  });
});
