import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { TestApplication } from '../support/application.js';
import type { CollectedLine } from '../support/collected-logs.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from './post-callback.js';

const RECEIVED = '📞 [WEBHOOK] Received Twilio message status webhook';
const VALIDATED = '✅ [WEBHOOK] Twilio signature validated';

describe('the log of the webhook', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  /** The webhook's log lines of an action at the default level. Work in the background writes lines of its own. */
  async function loggedDuring(work: () => Promise<unknown>): Promise<CollectedLine[]> {
    const before = application.logs.lines.length;
    await work();
    return application.logs.lines
      .slice(before)
      .filter(({ level, message }) => level !== 'debug' && message.includes('[WEBHOOK]'));
  }

  function messagesOf(lines: readonly CollectedLine[]): string[] {
    return lines.map(({ message }) => message);
  }

  it('has three lines for a callback, the last with the id of its row', async () => {
    const parameters = statusParameters({ ErrorCode: '30003', MessageStatus: 'undelivered' });
    const lines = await loggedDuring(() => postCallback(application, { parameters }));
    const [event] = await application.query<{ id: string }>(
      'select id from message_events where message_sid = $1',
      [parameters.MessageSid],
    );
    expect(messagesOf(lines)).toEqual([
      RECEIVED,
      VALIDATED,
      `✅ [WEBHOOK] Message event logged: ${event?.id}`,
    ]);
    expect(lines.at(-1)?.fields).toEqual([
      {
        messageSid: parameters.MessageSid,
        messageStatus: 'undelivered',
        channel: 'sms',
        errorCode: '30003',
        repeated: false,
      },
    ]);
  });

  it('has a line for a callback that was refused', async () => {
    const lines = await loggedDuring(() => postCallback(application, { signature: null }));
    expect(messagesOf(lines)).toEqual([RECEIVED, '⛔ [WEBHOOK] Request refused']);
  });

  it('has a line for a callback that was rejected', async () => {
    const parameters = statusParameters({ MessageStatus: '' });
    const lines = await loggedDuring(() => postCallback(application, { parameters }));
    expect(messagesOf(lines)).toEqual([
      RECEIVED,
      VALIDATED,
      '⚠️ [WEBHOOK] Callback rejected and kept in rejected_callbacks',
    ]);
  });

  it('has no token, no text, and no whole phone number in any line, from the callback to the SMS', async () => {
    const [to, from, text] = ['+15557654321', '+15550001111', 'Your private appointment'];
    const { twilioSid } = await seedMessage(application.dataSource, { body: text, companyPhoneNumber: from });
    for (const status of ['sent', 'undelivered', '']) {
      const parameters = whatsappStatusParameters({
        messageSid: twilioSid,
        status,
        errorCode: 63049,
        errorMessage: `${text} was not delivered to ${to}`,
        to,
        from,
        extra: { Body: text, ProfileName: 'Erika Mustermann' },
      });
      await postCallback(application, { parameters });
      await postCallback(application, { parameters, signature: 'forged' });
    }
    await until('the SMS to be sent', async () => {
      const rows = await application.query(
        `select from sms_fallbacks where original_message_sid = $1 and state = 'sent'`,
        [twilioSid],
      );
      return rows.length > 0;
    });
    await application.twilio.settled();
    const log = JSON.stringify(application.logs.lines);
    expect(log).toContain(twilioSid);
    for (const secret of [demoAccount.authToken, to.slice(1), from.slice(1), text, 'Mustermann', 'forged']) {
      expect(log).not.toContain(secret);
    }
  });

  it('has no value of a callback in a line of its own making', async () => {
    const messageSid = `${randomMessageSid()}\nFAKE LINE`;
    await postCallback(application, { parameters: statusParameters({ MessageSid: messageSid }) });
    expect(application.logs.messages().filter((message) => message.includes('\n'))).toEqual([]);
  });
});
