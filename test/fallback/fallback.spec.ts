import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

describe('the fallback', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  it('sends the text of a WhatsApp message that Meta refused as one SMS', async () => {
    const message = await seedMessage(application.dataSource);
    const answer = await application.twilio.sendCallback({
      url: WEBHOOK_URL,
      parameters: whatsappStatusParameters({
        messageSid: message.twilioSid,
        status: 'undelivered',
        errorCode: 63049,
        to: 'whatsapp:+15557654321',
        from: 'whatsapp:+15550001111',
      }),
    });
    expect(answer.status).toBe(204);
    await until('the SMS to be recorded', async () => {
      const rows = await application.query(
        `select * from sms_fallbacks where original_message_sid = $1 and state = 'sent'`,
        [message.twilioSid],
      );
      return rows.length > 0 && rows;
    });
    await application.twilio.settled();
  });
});
