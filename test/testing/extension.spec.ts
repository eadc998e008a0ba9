import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { WhatsappSmsFallbackModule } from '../../src/whatsapp-sms-fallback.module.js';
import {
  demoAccount,
  type EmbeddedTestDatabase,
  InMemorySmsSender,
  startEmbeddedPostgres,
  TwilioSimulator,
  untilFallback,
} from '../../testing/index.js';

describe('a WhatsApp message that Meta refuses', () => {
  const sender = new InMemorySmsSender();
  const company = { id: '1', phoneNumber: '+15550001111' };
  let database: EmbeddedTestDatabase;
  let twilio: TwilioSimulator;
  let app: INestApplication;

  beforeAll(async () => {
    database = await startEmbeddedPostgres();
    twilio = await TwilioSimulator.start();
    const service = WhatsappSmsFallbackModule.forRoot({
      connection: database.connection,
      apiBaseUrl: twilio.baseUrl,
      accounts: [{ accountSid: demoAccount.sid, authTokens: [demoAccount.authToken] }],
      smsSender: { useValue: sender },
      originalMessages: {
        useValue: {
          findByTwilioSid: (id) =>
            Promise.resolve({ id, body: 'Your ticket is ready.', conversationId: null, company }),
        },
      },
      messageRecorder: false,
    });
    const module = await Test.createTestingModule({ imports: [service] }).compile();
    app = module.createNestApplication({ rawBody: true });
    await app.listen(0, '127.0.0.1');
  });

  afterAll(async () => {
    await app.close();
    await twilio.close();
    await database.close();
  });

  it('reaches the person as an SMS', async () => {
    const { sid } = twilio.sendWhatsapp({
      from: 'whatsapp:+14155238886',
      to: 'whatsapp:+15557654321',
      body: 'Your ticket is ready.',
      statusCallback: `${await app.getUrl()}/api/webhooks/twilio/message-status`,
      steps: [{ status: 'undelivered', errorCode: 63049 }],
    });
    const fallback = await untilFallback(app, sid);
    expect(fallback).toMatchObject({ state: 'sent', body: 'Your ticket is ready.' });
    expect(sender.sms).toMatchObject([{ to: '+15557654321', from: '+15550001111' }]);
  });
});
