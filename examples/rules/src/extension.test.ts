import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import request from 'supertest';
import { WhatsappSmsFallbackModule } from 'whatsapp-sms-fallback';
import {
  demoAccount,
  type EmbeddedTestDatabase,
  fallbackPolicyConformance,
  InMemorySmsSender,
  signRequest,
  startEmbeddedPostgres,
  untilFallback,
  whatsappStatusParameters,
} from 'whatsapp-sms-fallback/testing';
import { Rules } from './extension.js';

const ORIGIN = 'https://hooks.example.com';
const PATH = '/api/webhooks/twilio/message-status';
const sender = new InMemorySmsSender();
const rules = new Rules();
const tenants = new Map<string, string>();

let database: EmbeddedTestDatabase;
let app: NestExpressApplication;

before(async () => {
  database = await startEmbeddedPostgres();
  const service = WhatsappSmsFallbackModule.forRoot({
    connection: database.connection,
    publicBaseUrl: ORIGIN,
    accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
    policyFailureErrorCodes: ['63049', '63024'],
    fallbackPolicy: { useValue: rules },
    smsSender: { useValue: sender },
    originalMessages: {
      useValue: {
        findByTwilioSid: (id) => {
          const company = { id: tenants.get(id) ?? '', phoneNumber: '+15550001111' };
          return Promise.resolve({ id, body: 'Hello', conversationId: null, company });
        },
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
});

async function fail(number: number, tenant: string, errorCode: number): Promise<string> {
  const messageSid = `SM${String(number).padStart(32, '0')}`;
  tenants.set(messageSid, tenant);
  const addresses = { to: '+15557654321', from: '+15550001111' };
  for (const outcome of [{ status: 'sent' }, { status: 'undelivered', errorCode }]) {
    const { headers, body } = signRequest({
      url: ORIGIN + PATH,
      authToken: demoAccount.authToken,
      parameters: whatsappStatusParameters({ messageSid, ...addresses, ...outcome }),
    });
    await request(app.getHttpServer()).post(PATH).set(headers).send(body).expect(204);
  }
  return messageSid;
}

it('sends for 63024 to the people of tenant A only', async () => {
  rules.now = () => new Date('2026-11-30T12:00:00Z');
  const sent = await untilFallback(app, await fail(1, 'A', 63024));
  assert.equal(sent.state, 'sent');
  const skipped = await untilFallback(app, await fail(2, 'B', 63024));
  assert.deepEqual([skipped.state, skipped.reason], ['skipped', 'not_for_this_tenant']);
});

it('waits until the morning for tenant B, and for no other', async () => {
  const evening = new Date();
  evening.setUTCHours(23, 0, 0, 0);
  rules.now = () => evening;
  const { state } = await untilFallback(app, await fail(3, 'A', 63049));
  assert.equal(state, 'sent');
  const sid = await fail(4, 'B', 63049);
  await assert.rejects(untilFallback(app, sid, { timeoutMilliseconds: 2_000 }), /claimed \(deferred\)/);
  assert.equal(sender.sms.filter(({ originalMessageSid }) => originalMessageSid === sid).length, 0);
});

for (const { name, run } of fallbackPolicyConformance(() => ({ policy: new Rules() }))) it(name, run);
