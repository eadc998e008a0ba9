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
  startEmbeddedPostgres,
  untilFallback,
  whatsappStatusParameters,
} from 'whatsapp-sms-fallback/testing';
import { HelpDesk, Tickets } from './extension.js';

const ORIGIN = 'https://hooks.example.com';
const PATH = '/api/webhooks/twilio/message-status';
const sender = new InMemorySmsSender();
const asked: string[] = [];
const events = new EventEmitter();
const opened = once(events, 'opened');

/** Cannot be reached the first time. */
const helpDesk: HelpDesk = {
  open: async (ticket) => {
    asked.push(ticket.key);
    if (asked.length === 1) throw new Error('The help desk is away');
    events.emit('opened', ticket);
  },
};

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
  });
  @Module({ imports: [service], providers: [Tickets, { provide: HelpDesk, useValue: helpDesk }] })
  class TeamModule {}
  const module = await Test.createTestingModule({ imports: [TeamModule] }).compile();
  app = module.createNestApplication<NestExpressApplication>({ rawBody: true });
  await app.init();
});

after(async () => {
  await app.close();
  await database.close();
});

it('opens a ticket although the help desk is away at first, and the SMS is sent once', async () => {
  const messageSid = 'SM00000000000000000000000000000001';
  const addresses = { to: '+15557654321', from: '+15550001111' };
  for (const outcome of [{ status: 'sent' }, { status: 'undelivered', errorCode: 63049 }]) {
    const { headers, body } = signRequest({
      url: ORIGIN + PATH,
      authToken: demoAccount.authToken,
      parameters: whatsappStatusParameters({ messageSid, ...addresses, ...outcome }),
    });
    await request(app.getHttpServer()).post(PATH).set(headers).send(body).expect(204);
  }
  await untilFallback(app, messageSid, { state: 'sent' });
  assert.deepEqual((await opened)[0], { key: asked[0], subject: `WhatsApp refused ${messageSid}: 63049` });
  assert.equal(asked.length, 2);
  assert.equal(sender.sms.length, 1);
});
