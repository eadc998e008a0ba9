import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { after, before, it } from 'node:test';
import request from 'supertest';
import { WhatsappSmsFallbackModule } from 'whatsapp-sms-fallback';
import {
  demoAccount,
  type EmbeddedTestDatabase,
  signRequest,
  startEmbeddedPostgres,
  untilFallback,
  whatsappStatusParameters,
} from 'whatsapp-sms-fallback/testing';
import { OtherProvider } from './extension.js';

const ORIGIN = 'https://hooks.example.com';
const PATH = '/api/webhooks/twilio/message-status';

/** The provider: sends once for each key, and can lose its next answer. */
class FakeProvider {
  readonly sent = new Map<string, { messageSid: string; to: string; body: string }>();
  losesNextAnswer = false;
  rejectsNext = false;
  readonly server = createServer(async (incoming, outgoing) => {
    const reply = (status: number, body: object) => outgoing.writeHead(status).end(JSON.stringify(body));
    const accepted = (key: string) => {
      const sms = this.sent.get(key);
      return sms === undefined ? [] : [{ outcome: 'accepted', status: 'sent', messageSid: sms.messageSid }];
    };
    const { searchParams } = new URL(incoming.url ?? '', 'http://provider');
    if (incoming.method === 'GET') return reply(200, accepted(searchParams.get('key') ?? ''));
    const { key, to, body } = (await json(incoming)) as { key: string; to: string; body: string };
    if (this.rejectsNext) return reply(422, { message: 'No such number' });
    if (!this.sent.has(key)) this.sent.set(key, { messageSid: `sms-${this.sent.size + 1}`, to, body });
    if (!this.losesNextAnswer) return reply(201, accepted(key)[0] ?? {});
    this.losesNextAnswer = false;
    return incoming.socket.destroy();
  });
}

const provider = new FakeProvider();
let database: EmbeddedTestDatabase;
let app: NestExpressApplication;

before(async () => {
  database = await startEmbeddedPostgres();
  await once(provider.server.listen(0, '127.0.0.1'), 'listening');
  process.env.PROVIDER_URL = `http://127.0.0.1:${(provider.server.address() as AddressInfo).port}`;
  const service = WhatsappSmsFallbackModule.forRoot({
    connection: database.connection,
    publicBaseUrl: ORIGIN,
    accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
    defaultFrom: '+15550001111',
    smsSender: OtherProvider,
    settlingMilliseconds: 1_000,
    originalMessages: {
      useValue: {
        findByTwilioSid: (id) => Promise.resolve({ id, body: 'Hello', conversationId: null, company: null }),
      },
    },
    messageRecorder: false,
  });
  const module = await Test.createTestingModule({ imports: [service] }).compile();
  app = module.createNestApplication<NestExpressApplication>({ rawBody: true });
  await app.init();
});

after(async () => {
  await app.close();
  await database.close();
  provider.server.close();
});

async function fail(messageSid: string): Promise<void> {
  const addresses = { to: '+15557654321', from: '+15550001111' };
  for (const outcome of [{ status: 'sent' }, { status: 'undelivered', errorCode: 63049 }]) {
    const { headers, body } = signRequest({
      url: ORIGIN + PATH,
      authToken: demoAccount.authToken,
      parameters: whatsappStatusParameters({ messageSid, ...addresses, ...outcome }),
    });
    await request(app.getHttpServer()).post(PATH).set(headers).send(body).expect(204);
  }
}

it('sends through the provider', async () => {
  await fail('SM00000000000000000000000000000001');
  const { smsMessageSid } = await untilFallback(app, 'SM00000000000000000000000000000001');
  assert.equal(smsMessageSid, 'sms-1');
  const sent = [...provider.sent.values()];
  assert.deepEqual(sent, [{ messageSid: 'sms-1', to: '+15557654321', body: 'Hello' }]);
});

it('sends once although the answer of the provider is lost', async () => {
  provider.losesNextAnswer = true;
  await fail('SM00000000000000000000000000000002');
  const options = { state: 'sent', timeoutMilliseconds: 30_000 } as const;
  const { smsMessageSid } = await untilFallback(app, 'SM00000000000000000000000000000002', options);
  assert.equal(smsMessageSid, 'sms-2');
  assert.equal(provider.sent.size, 2);
});

it('ends without an SMS that the provider rejects', async () => {
  provider.rejectsNext = true;
  await fail('SM00000000000000000000000000000003');
  const { state, lastError } = await untilFallback(app, 'SM00000000000000000000000000000003');
  assert.deepEqual([state, lastError], ['failed', '{"message":"No such number"}']);
});
