import { Module } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { WhatsappSmsFallbackModule } from 'whatsapp-sms-fallback';
import {
  demoAccount,
  type EmbeddedTestDatabase,
  InMemorySmsSender,
  signRequest,
  startEmbeddedPostgres,
  untilFallback,
  whatsappStatusParameters,
} from 'whatsapp-sms-fallback/testing';
import { Outbox } from './extension.js';

const ORIGIN = 'https://hooks.example.com';
const PATH = '/api/webhooks/twilio/message-status';
const sender = new InMemorySmsSender();
const TABLES = [
  'create table tenants (name text primary key, sender text)',
  'create table outbox (id bigint generated always as identity primary key, sid text unique, text text, tenant text)',
  `insert into tenants values ('clinic', '+1 (555) 000-2222'), ('mute', null)`,
];

let database: EmbeddedTestDatabase;
let app: NestExpressApplication;

before(async () => {
  database = await startEmbeddedPostgres();
  const service = WhatsappSmsFallbackModule.forRoot({
    connection: database.connection,
    publicBaseUrl: ORIGIN,
    accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
    smsSender: { useValue: sender },
    originalMessages: Outbox,
    messageRecorder: false,
  });
  // The team's own data source, beside the service's.
  const ours = TypeOrmModule.forRoot({ type: 'postgres', extra: database.connection.client });
  @Module({ imports: [ours, service] })
  class TeamModule {}
  const module = await Test.createTestingModule({ imports: [TeamModule] }).compile();
  app = module.createNestApplication<NestExpressApplication>({ rawBody: true });
  await app.init();
  for (const statement of TABLES) await app.get(DataSource).query(statement);
});

after(async () => {
  await app.close();
  await database.close();
});

async function store(twilioSid: string, text: string | null, tenant: string | null): Promise<void> {
  const insert = 'insert into outbox (sid, text, tenant) values ($1, $2, $3)';
  await app.get(DataSource).query(insert, [twilioSid, text, tenant]);
}

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

it('sends the text of the outbox from the number of its tenant', async () => {
  await store('SM00000000000000000000000000000001', 'Your results are ready.', 'clinic');
  await fail('SM00000000000000000000000000000001');
  await untilFallback(app, 'SM00000000000000000000000000000001', { state: 'sent' });
  const [{ to, from, body } = {}] = sender.sms;
  assert.deepEqual(
    { to, from, body },
    { to: '+15557654321', from: '+15550002222', body: 'Your results are ready.' },
  );
});

it('says so if a tenant has no number', async () => {
  await store('SM00000000000000000000000000000002', 'Hello', 'mute');
  await fail('SM00000000000000000000000000000002');
  const { state, reason } = await untilFallback(app, 'SM00000000000000000000000000000002');
  assert.deepEqual([state, reason], ['skipped', 'no_sender_number']);
});
