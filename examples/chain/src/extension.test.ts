import { Module } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, before, it } from 'node:test';
import request from 'supertest';
import { WhatsappSmsFallbackModule } from 'whatsapp-sms-fallback';
import {
  demoAccount,
  type EmbeddedTestDatabase,
  InMemorySmsSender,
  signRequest,
  smsStatusParameters,
  startEmbeddedPostgres,
  untilFallback,
  whatsappStatusParameters,
} from 'whatsapp-sms-fallback/testing';
import { EmailAfterSms, Mail } from './extension.js';

const ORIGIN = 'https://hooks.example.com';
const PATH = '/api/webhooks/twilio/message-status';
const sender = new InMemorySmsSender();
const mails = new EventEmitter();
const mail: Mail = { send: (letter) => Promise.resolve(void mails.emit('mail', letter)) };

let database: EmbeddedTestDatabase;
let app: NestExpressApplication;

before(async () => {
  database = await startEmbeddedPostgres();
  const service = WhatsappSmsFallbackModule.forRoot({
    connection: database.connection,
    publicBaseUrl: ORIGIN,
    accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
    defaultFrom: '+15550001111',
    smsSender: { useValue: sender },
    originalMessages: {
      useValue: {
        findByTwilioSid: (id) => Promise.resolve({ id, body: 'Hello', conversationId: null, company: null }),
      },
    },
    messageRecorder: false,
    statusRecorded: ({ channel, messageStatus }) => channel === 'sms' && messageStatus === 'undelivered',
  });
  @Module({ imports: [service], providers: [EmailAfterSms, { provide: Mail, useValue: mail }] })
  class TeamModule {}
  const module = await Test.createTestingModule({ imports: [TeamModule] }).compile();
  app = module.createNestApplication<NestExpressApplication>({ rawBody: true });
  await app.init();
});

after(async () => {
  await app.close();
  await database.close();
});

const [to, from] = ['+15557654321', '+15550001111'];

async function report(parameters: ReturnType<typeof smsStatusParameters>): Promise<void> {
  const { headers, body } = signRequest({ url: ORIGIN + PATH, authToken: demoAccount.authToken, parameters });
  await request(app.getHttpServer()).post(PATH).set(headers).send(body).expect(204);
}

async function refuse(messageSid: string): Promise<void> {
  for (const outcome of [{ status: 'sent' }, { status: 'undelivered', errorCode: 63049 }]) {
    await report(whatsappStatusParameters({ messageSid, ...outcome, to, from }));
  }
}

it('writes an e-mail if no SMS can be sent', async () => {
  sender.rejectNext({ code: '21211', message: 'Invalid number' });
  const mailed = once(mails, 'mail');
  await refuse('SM00000000000000000000000000000001');
  const [letter] = await mailed;
  assert.equal(letter.about, 'SM00000000000000000000000000000001');
  assert.equal(letter.why, 'rejected_by_twilio');
});

it('writes an e-mail if the SMS was not delivered, and none if it was', async () => {
  const letters: { about: string; why: string }[] = [];
  mails.on('mail', (letter) => letters.push(letter));
  const sids = ['SM00000000000000000000000000000002', 'SM00000000000000000000000000000003'];
  for (const sid of sids) await refuse(sid);
  const [delivered, undelivered] = await Promise.all(
    sids.map(async (sid) => (await untilFallback(app, sid, { state: 'sent' })).smsMessageSid ?? ''),
  );
  const mailed = once(mails, 'mail');
  await report(smsStatusParameters({ messageSid: delivered ?? '', status: 'delivered', to, from }));
  const lost = { messageSid: undelivered ?? '', status: 'undelivered', errorCode: 30003, to, from };
  await report(smsStatusParameters(lost));
  await mailed;
  assert.deepEqual(
    letters.map(({ about, why }) => ({ about, why })),
    [{ about: undelivered, why: '30003' }],
  );
});
