import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { delivered, inOrder } from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { MessageEventsService } from '../../src/message-events/message-events.service.js';
import { Message } from '../../src/messages/message.entity.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import {
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  untilFallbackIs,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';

/** A report of status polling, which has no callback URL. */
const POLLED_FAILURE = {
  messageStatus: 'undelivered',
  channel: 'whatsapp',
  fromNumber: '+15550001111',
  errorCode: '63049',
  errorMessage: null,
  accountSid: demoAccount.sid,
  payload: {},
  source: 'poll',
  smsFallbackId: null,
  callbackUrl: null,
} as const;

describe('the SMS at Twilio and in the tables', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterEach(() => {
    application.twilio.callbackPlan = delivered;
  });

  afterAll(() => application.close());

  async function smsMessage(messageSid: string): Promise<Message> {
    const sid = smsFor(application, messageSid)[0]?.sid;
    return application.dataSource.manager.findOneByOrFail(Message, { twilioSid: sid });
  }

  it('asks for callbacks that name the fallback and are retried, and for delivery within four hours', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const { id } = await untilAllIsDone(application, twilioSid);
    const parameters = smsFor(application, twilioSid)[0]?.parameters;
    expect(parameters).toMatchObject({
      StatusCallback: `${WEBHOOK_URL}?sms_fallback_id=${id}#rc=5&rp=all`,
    });
    // The rest of the four hours since the original was sent.
    const validity = Number(parameters?.['ValidityPeriod']);
    expect(validity).toBeLessThan(14_400);
    expect(validity).toBeGreaterThan(14_300);
  });

  it('is a row of messages in the original’s conversation, linked from the event and the fallback', async () => {
    const original = await seedMessage(application.dataSource);
    await policyFailure(application, original.twilioSid, { status: 'failed' });
    await untilAllIsDone(application, original.twilioSid);
    await policyFailure(application, original.twilioSid, { status: 'undelivered' });
    const fallback = await untilAllIsDone(application, original.twilioSid);
    const sms = await smsMessage(original.twilioSid);
    expect(sms).toMatchObject({
      conversationId: original.conversationId,
      channel: 'sms',
      direction: 'outbound',
      body: original.body,
      status: 'delivered',
    });
    expect(fallback).toMatchObject({
      state: 'sent',
      reason: null,
      messageId: sms.id,
      smsMessageSid: sms.twilioSid,
      lockedUntil: null,
    });
    expect(fallback.sentAt).not.toBeNull();
    const events = await application.query(
      `select message_status, fallback_sms_message_id from message_events
        where message_sid = $1 order by message_status`,
      [original.twilioSid],
    );
    expect(events).toEqual([
      { message_status: 'failed', fallback_sms_message_id: sms.id },
      { message_status: 'undelivered', fallback_sms_message_id: null },
    ]);
  });

  it('is linked from the events of the original too, even if that is stored after its callbacks', async () => {
    const messageSid = randomMessageSid();
    await policyFailure(application, messageSid);
    await untilFallbackIs(application, messageSid, 'claimed');
    const { id } = await seedMessage(application.dataSource, { twilioSid: messageSid });
    await untilAllIsDone(application, messageSid);
    const sms = await smsMessage(messageSid);
    expect(
      await application.query('select fallback_sms_message_id from message_events where message_sid = $1', [
        messageSid,
      ]),
    ).toEqual([{ fallback_sms_message_id: sms.id }]);
    expect(await application.dataSource.manager.findOneBy(Message, { id })).toMatchObject({
      status: 'undelivered',
    });
  });

  it('has the events of its own callbacks, which name its fallback', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const { id } = await untilAllIsDone(application, twilioSid);
    const sms = await smsMessage(twilioSid);
    const events = await application.query(
      `select channel, message_status, sms_fallback_id from message_events
        where message_sid = $1 order by message_status desc`,
      [sms.twilioSid],
    );
    const common = { channel: 'sms', sms_fallback_id: id };
    expect(events).toEqual([
      { ...common, message_status: 'sent' },
      { ...common, message_status: 'delivered' },
    ]);
  });

  it('has the status of callbacks that came before Twilio’s answer', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    application.twilio.failNext({ on: 'create', fault: { type: 'answerAfterCallbacks' } });
    await policyFailure(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    const sms = await smsMessage(twilioSid);
    expect(sms.status).toBe('delivered');
  });

  it('has their status whenever the callbacks come', async () => {
    const originals = await Promise.all(
      Array.from({ length: 20 }, () => seedMessage(application.dataSource)),
    );
    await Promise.all(originals.map(({ twilioSid }) => policyFailure(application, twilioSid)));
    for (const { twilioSid } of originals) await untilAllIsDone(application, twilioSid);
    const [row] = await application.query(
      `select count(distinct messages.status) filter (where messages.status <> 'delivered')::int as behind,
              count(*)::int >= 20 as "areThere"
         from messages join message_events on message_sid = twilio_sid where messages.channel = 'sms'`,
    );
    expect(row).toEqual({ behind: 0, areThere: true });
  });

  it.each([63049, 30005])(
    'triggers no fallback of its own when it is undelivered with %i, and says so in messages',
    async (errorCode) => {
      const { twilioSid } = await seedMessage(application.dataSource);
      application.twilio.callbackPlan = inOrder({ status: 'sent' }, { status: 'undelivered', errorCode });
      await policyFailure(application, twilioSid);
      const fallback = await untilAllIsDone(application, twilioSid);
      expect(smsFor(application, twilioSid)).toHaveLength(1);
      expect(await smsMessage(twilioSid)).toMatchObject({ status: 'undelivered' });
      const fallbacks = await application.query(
        'select id from sms_fallbacks where original_message_sid in ($1, $2)',
        [twilioSid, fallback.smsMessageSid],
      );
      expect(fallbacks).toEqual([{ id: fallback.id }]);
    },
  );
});

describe('the SMS without a configured URL', () => {
  it('reports to the URL at which Twilio reported a failure, also for a polled failure', async () => {
    const application = await TestApplication.start({
      override: withFallbackOptions({ statusCallbackUrl: undefined }),
    });
    try {
      const told = await seedMessage(application.dataSource);
      await policyFailure(application, told.twilioSid);
      await untilAllIsDone(application, told.twilioSid);
      const asked = await seedMessage(application.dataSource);
      await application.app.get(MessageEventsService).record({
        ...POLLED_FAILURE,
        messageSid: asked.twilioSid,
        toNumber: recipientOf(asked.twilioSid),
      });
      await untilAllIsDone(application, asked.twilioSid);
      for (const { twilioSid } of [told, asked]) {
        const url = smsFor(application, twilioSid)[0]?.parameters['StatusCallback'];
        expect(url).toContain(`${WEBHOOK_URL}?sms_fallback_id=`);
      }
    } finally {
      await application.close();
    }
  });
});
