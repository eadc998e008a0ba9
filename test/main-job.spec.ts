import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { getExpectedTwilioSignature } from 'twilio/lib/webhooks/webhooks.js';
import { whatsappStatusParameters } from '../simulator/callback-parameters.js';
import { demoAccount } from '../simulator/demo-account.js';
import { TestApplication, WEBHOOK_PATH, WEBHOOK_URL } from './support/application.js';
import { untilAllIsDone } from './support/fallbacks.js';
import { type SeededMessage, seedMessage } from './support/seed.js';

/** The whole path, as a team that extends the service would test it. */
describe('a WhatsApp message that Meta refuses', () => {
  let application: TestApplication;
  let message: SeededMessage;

  beforeAll(async () => {
    application = await TestApplication.start();
    message = await seedMessage(application.dataSource);
  });

  afterAll(() => application.close());

  function callback(signature?: string) {
    const parameters = whatsappStatusParameters({
      messageSid: message.twilioSid,
      status: 'undelivered',
      errorCode: 63049,
      to: 'whatsapp:+15557654321',
      from: 'whatsapp:+15550001111',
    });
    return supertest(application.app.getHttpServer())
      .post(WEBHOOK_PATH)
      .type('form')
      .set(
        'X-Twilio-Signature',
        signature ?? getExpectedTwilioSignature(demoAccount.authToken, WEBHOOK_URL, parameters),
      )
      .send(parameters as Record<string, string>);
  }

  it('is ignored if the callback is not signed', async () => {
    await callback('forged').expect(403);
    expect(await application.query('select id from message_events')).toEqual([]);
  });

  it('reaches the person as one SMS with the same text, however often Twilio reports it', async () => {
    await callback().expect(204, '');
    await callback().expect(204, '');
    const fallback = await untilAllIsDone(application, message.twilioSid);
    await callback().expect(204, '');

    expect(fallback.state).toBe('sent');
    expect(application.twilio.messages).toMatchObject([
      {
        sid: fallback.smsMessageSid,
        to: '+15557654321',
        from: message.companyPhoneNumber,
        body: message.body,
      },
    ]);
  });

  it('appears with its SMS in the documented queries', async () => {
    const [event, ...others] = await application.query(
      'select * from message_events where fallback_sms_message_id is not null',
    );
    expect(others).toEqual([]);
    expect(event).toMatchObject({ message_sid: message.twilioSid, channel: 'whatsapp', error_code: '63049' });
    expect(
      await application.query('select channel, direction, body, status from messages where id = $1', [
        event?.fallback_sms_message_id,
      ]),
    ).toEqual([{ channel: 'sms', direction: 'outbound', body: message.body, status: 'delivered' }]);
  });
});
