import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import type { FormParameters } from '../../simulator/form-parameters.js';
import { TestApplication, WEBHOOK_PATH } from '../support/application.js';
import { jsonCallback, jsonTextCallback } from './json-callback.js';
import {
  type CallbackPost,
  errorBody,
  nextAddress,
  postCallback,
  statusParameters,
} from './post-callback.js';

const SUBACCOUNT = 'ACsub';
const SUBACCOUNT_TOKEN = 'token-of-subaccount';
const NOT_SIGNED = 'The request is not signed by a configured Twilio account';
const REFUSED = '⛔ [WEBHOOK] Request refused';

const account = { AccountSid: demoAccount.sid };

/** The parameters of Twilio's docs: messaging/guides/webhook-request. */
const inboundMessage = {
  ...account,
  MessageSid: 'SM0001',
  SmsMessageSid: 'SM0001',
  SmsSid: 'SM0001',
  SmsStatus: 'received',
  NumMedia: '0',
  NumSegments: '1',
  Body: 'STOP',
  From: 'whatsapp:+15557654321',
  To: 'whatsapp:+15550001111',
  ProfileName: 'Erika',
  WaId: '15557654321',
};

const conversationMessage = {
  ...account,
  EventType: 'onMessageAdded',
  ConversationSid: 'CH0001',
  ChatServiceSid: 'IS0001',
  MessageSid: 'IM0001',
  Body: 'Hello',
};

/** Twilio's other requests, their names here, and the URLs where they belong. */
const forms: [string, string, FormParameters][] = [
  ['an inbound message', '"A message comes in"', inboundMessage],
  ['an inbound message', '"A message comes in"', { ...inboundMessage, SmsStatus: 'receiving' }],
  ['an inbound message', '"A message comes in"', { ...account, MessageSid: 'MM1', Body: '', NumMedia: '1' }],
  ['a Conversations webhook', 'the Conversations webhook', conversationMessage],
  ['a Conversations webhook', 'the Conversations webhook', { ...account, EventType: 'onConversationAdded' }],
  [
    'a Conversations webhook',
    'the Conversations webhook',
    {
      ...account,
      EventType: 'onDeliveryUpdated',
      ConversationSid: 'CH0001',
      MessageSid: 'IM0001',
      Status: 'failed',
      ErrorCode: '63049',
    },
  ],
  [
    'a TaskRouter event',
    'the TaskRouter workspace',
    { ...account, EventType: 'task.created', WorkspaceSid: 'WS1', TaskSid: 'WT1' },
  ],
  [
    'a TaskRouter event',
    'the assignment callback URL',
    { ...account, ReservationSid: 'WR1', TaskSid: 'WT1', WorkerSid: 'WK1' },
  ],
  [
    'a Debugger webhook',
    'Debugger',
    { ...account, Sid: 'NO1', Level: 'ERROR', PayloadType: 'application/json', Payload: '{}' },
  ],
  ['a Voice callback', '"A call comes in"', { ...account, CallSid: 'CA1', CallStatus: 'completed' }],
  [
    'a Voice callback',
    'recording',
    { ...account, RecordingSid: 'RE1', RecordingStatus: 'completed', CallSid: 'CA1' },
  ],
  ['a Video callback', 'the room', { ...account, RoomSid: 'RM1', StatusCallbackEvent: 'room-ended' }],
  [
    'a Verify webhook',
    'the Verify service',
    { account_sid: demoAccount.sid, type: 'factor.verified', service_sid: 'VA1' },
  ],
  [
    'a usage trigger',
    'the usage trigger',
    { ...account, UsageTriggerSid: 'UT1', UsageCategory: 'sms', CurrentValue: '100' },
  ],
  [
    'an event of another Twilio product',
    'Find the setting',
    { ...account, EventType: 'document_created', ServiceSid: 'IS1' },
  ],
];

const cloudEvent = (data: unknown) => ({
  specversion: '1.0',
  type: 'com.twilio.messaging.message.undelivered',
  source: '/2010-04-01/Accounts/AC/Messages/SM.json',
  id: 'EZ1',
  dataschema: 'https://events-schemas.twilio.com/Messaging.MessageStatus/4',
  datacontenttype: 'application/json',
  time: '2026-11-29T10:00:00Z',
  data,
});

const status = { messageSid: 'SM1', messageStatus: 'UNDELIVERED', errorCode: 63049 };

describe('a request of Twilio that belongs at another URL', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: { TWILIO_SUBACCOUNTS: `${SUBACCOUNT}:${SUBACCOUNT_TOKEN}` },
    });
  });

  afterAll(async () => {
    await application.close();
  });

  async function newestRejected() {
    const [row] = await application.query<{ reason: string; payload: unknown }>(
      'select reason, payload from rejected_callbacks order by id desc limit 1',
    );
    return row;
  }

  async function rejectedCount(): Promise<unknown> {
    return (await application.query('select count(*)::int as count from rejected_callbacks'))[0]?.count;
  }

  function reasonsFrom(address: string): unknown[] {
    return application.logs.lines
      .filter(({ message, fields }) => message === REFUSED && JSON.stringify(fields).includes(`"${address}"`))
      .map(({ fields }) => (fields[0] as { reason?: unknown } | undefined)?.reason);
  }

  async function expectKeptAs(name: string, where: string, post: CallbackPost, payload: unknown) {
    const answer = await postCallback(application, post);
    expect(answer.status).toBe(400);
    const reason = expect.stringMatching(
      new RegExp(`^this is ${name.replaceAll(/[()]/g, '.')}, and this URL`),
    );
    expect(errorBody(answer).message).toEqual([reason]);
    expect(String(errorBody(answer).message)).toContain(where);
    expect(await newestRejected()).toEqual({ reason: String(errorBody(answer).message), payload });
    expect(application.logs.lines.findLast(({ level }) => level === 'warn')).toMatchObject({
      message: '⚠️ [WEBHOOK] Callback rejected and kept in rejected_callbacks',
      fields: [{ reason }],
    });
  }

  async function expectRefusedAs(name: string, where: string, post: CallbackPost) {
    const kept = await rejectedCount();
    const from = nextAddress();
    const answer = await postCallback(application, { ...post, from });
    expect(answer.status).toBe(403);
    const { message } = errorBody(answer);
    expect(String(message).startsWith(`${NOT_SIGNED}. It looks like ${name}, and this URL`)).toBe(true);
    expect(message).toContain(where);
    const [reason, ...others] = reasonsFrom(from);
    expect(others).toEqual([]);
    expect(reason).toContain(`. It looks like ${name}, and this URL`);
    expect(await rejectedCount()).toBe(kept);
  }

  it.each(forms)('is %s, stored and answered 400 with %j: %j', async (name, where, parameters) => {
    await expectKeptAs(name, where, { parameters }, parameters);
    await expectKeptAs(name, where, jsonCallback(parameters), parameters);
  });

  it.each(forms)('is %s, answered 403 with %j if it is not signed: %j', async (name, where, parameters) => {
    await expectRefusedAs(name, where, { parameters, signature: 'forged' });
    await expectRefusedAs(name, where, { parameters, signature: null });
    await expectRefusedAs(name, where, { parameters: { ...parameters, AccountSid: 'ACunknown' } });
  });

  it('is named even while its address gets 429', async () => {
    const post = { parameters: inboundMessage, signature: 'forged', from: nextAddress() };
    for (let sent = 0; sent < 10; sent += 1) await postCallback(application, post);
    const answer = await postCallback(application, post);
    expect(answer.status).toBe(429);
    expect(errorBody(answer).message).toContain('. It looks like an inbound message, and this URL');
  });

  it('has none of its values in the log or in the answer', async () => {
    const parameters = { ...inboundMessage, Body: 'a private text', EventType: 'onPrivate' };
    const kept = await postCallback(application, { parameters });
    const refused = await postCallback(application, { parameters, signature: null });
    const seen = JSON.stringify([application.logs.lines, kept.text, refused.text]);
    expect(seen).not.toMatch(/a private text|onPrivate|Erika|5557654321/);
  });

  describe('by Event Streams', () => {
    const name = 'an Event Streams delivery (CloudEvents)';
    const where = 'the Event Streams sink';

    const deliveries: [string, unknown, string][] = [
      ['accountSid', [cloudEvent({ ...status, accountSid: demoAccount.sid })], demoAccount.authToken],
      ['account_sid', [cloudEvent({ account_sid: demoAccount.sid })], demoAccount.authToken],
      ['AccountSid', [cloudEvent({ AccountSid: demoAccount.sid })], demoAccount.authToken],
      ['accountsid', [cloudEvent({ accountsid: SUBACCOUNT })], SUBACCOUNT_TOKEN],
      [
        'two accounts, of which one signs',
        [cloudEvent({ accountSid: demoAccount.sid }), cloudEvent({ accountSid: SUBACCOUNT })],
        SUBACCOUNT_TOKEN,
      ],
      ['no account', [cloudEvent({ test_id: '1' })], demoAccount.authToken],
      ['no account, and a subaccount signs', [cloudEvent(null), cloudEvent('text')], SUBACCOUNT_TOKEN],
      ['one event that is not in an array', cloudEvent({ accountSid: SUBACCOUNT }), SUBACCOUNT_TOKEN],
    ];

    it.each(deliveries)('is stored and answered 400 if it names %s', async (_, body, token) => {
      const payload = Array.isArray(body) ? { body } : body;
      await expectKeptAs(name, where, jsonCallback(body, { token }), payload);
    });

    it.each(deliveries)('is answered 403 if it names %s and is not signed', async (_, body) => {
      await expectRefusedAs(name, where, jsonCallback(body, { signature: 'forged' }));
      await expectRefusedAs(name, where, jsonCallback(body, { token: 'another token' }));
      const other = jsonCallback(statusParameters());
      await expectRefusedAs(name, where, { ...other, body: JSON.stringify(body) });
    });

    it('is answered 403 if it names other accounts than the one that signs', async () => {
      const unknown = [cloudEvent({ accountSid: 'ACunknown' })];
      await expectRefusedAs(name, where, jsonCallback(unknown));
      const sub = [cloudEvent({ accountSid: SUBACCOUNT })];
      await expectRefusedAs(name, where, jsonCallback(sub));
    });

    it('is stored as text if it is nested very deep', async () => {
      const deep = `${'['.repeat(1_000)}${']'.repeat(1_000)}`;
      const body = JSON.stringify([cloudEvent({ accountSid: demoAccount.sid })]).replace('"EZ1"', deep);
      const answer = await postCallback(application, jsonTextCallback(body));
      expect(answer.status).toBe(400);
      expect(errorBody(answer).message).toEqual([
        expect.stringContaining(`this is ${name}`),
        'the body is nested too deep',
      ]);
      expect((await newestRejected())?.payload).toEqual({ body });
    });

    it.each([
      ['is empty', []],
      ['has status callbacks', [{ ...account, MessageSid: 'SM1', MessageStatus: 'sent' }]],
      ['has events too late in it', [...Array<number>(5_000).fill(1), cloudEvent({})]],
      ['has something else', [1, 'two', null, [], { specversion: 1, type: {} }]],
    ])('is not an array that %s', async (_, body) => {
      const answer = await postCallback(application, jsonCallback(body));
      expect(answer.status).toBe(403);
      expect(errorBody(answer).message).toBe(NOT_SIGNED);
    });
  });

  it('leaves a status callback as it is, whatever else it carries', async () => {
    for (const [, , parameters] of forms) {
      const callback = statusParameters();
      const { MessageSid, MessageStatus } = callback;
      const both = { ...callback, ...parameters, ...account, MessageSid, MessageStatus };
      const post = { parameters: { ...both, specversion: '1.0', type: 'com.twilio.x', EventType: 'READ' } };
      expect((await postCallback(application, post as CallbackPost)).status).toBe(204);
    }
  });
});

describe('a request to the webhook by another method', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  it.each(['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])(
    'is answered 405 with a remedy, signed or not: %s',
    async (method) => {
      for (const post of [{}, { signature: null, contentType: null, body: '' }]) {
        const answer = await postCallback(application, { ...post, method, target: `${WEBHOOK_PATH}?a=b` });
        expect(answer.status).toBe(405);
        expect(answer.headers.allow).toBe('POST');
        if (method === 'HEAD') continue;
        expect(errorBody(answer).message).toMatch(
          new RegExp(`^This is a ${method}\\. .* by POST: choose "HTTP POST" .* StatusCallbackMethod=POST`),
        );
      }
    },
  );

  it('is in the log with its method and without the query', async () => {
    const from = nextAddress();
    await postCallback(application, { method: 'GET', from, target: `${WEBHOOK_PATH}?Body=secret` });
    const line = application.logs.lines.find(({ fields }) => JSON.stringify(fields).includes(`"${from}"`));
    expect(line).toMatchObject({
      level: 'warn',
      message: REFUSED,
      fields: [{ reason: expect.stringMatching(/^it is a GET, not a POST\. .*POST/) as unknown }],
    });
    expect(JSON.stringify(application.logs.lines)).not.toContain('secret');
  });

  it('does not fill the log: its address gets 429, and its signed callbacks still get 204', async () => {
    const from = nextAddress();
    const statuses = [];
    for (let sent = 0; sent < 15; sent += 1) {
      const answer = await postCallback(application, { method: 'GET', from });
      statuses.push(answer.status);
      expect(answer.headers.allow).toBe('POST');
      expect(answer.headers['retry-after'] !== undefined).toBe(answer.status === 429);
    }
    expect(statuses).toEqual([...Array<number>(10).fill(405), ...Array<number>(5).fill(429)]);
    const lines = application.logs.lines.filter(({ fields }) => JSON.stringify(fields).includes(`"${from}"`));
    expect(lines).toHaveLength(11);
    expect((await postCallback(application, { from })).status).toBe(204);
  });

  it('is 404 at any other path', async () => {
    expect((await postCallback(application, { method: 'GET', target: `${WEBHOOK_PATH}/x` })).status).toBe(
      404,
    );
  });
});
