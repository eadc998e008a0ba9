import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { neverSent, sequence } from '../../simulator/callback-plan.js';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import type { EarlierAttempt, SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { policyFailure, recipientOf, untilAllIsDone, withFallbackOptions } from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
import { callApi, withAdminKeys } from './api.js';

interface Journey {
  messageSid: string;
  role: string;
  currentStatus: string | null;
  companyId: string | null;
  decision: string;
  fallback: { id: string; state: string; meaning: string; href: string; to: string } | null;
  counterpart: {
    messageSid: string;
    currentStatus: string;
    href: string;
    events: { status: string }[];
  } | null;
  events: { status: string; to: string }[];
}

describe('the journey of a message', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: withAdminKeys,
      override: withFallbackOptions({ resendDelayMilliseconds: 0 }),
    });
  });

  afterAll(async () => {
    await application.close();
  });

  async function journeyOf(sid: string, query = ''): Promise<Journey> {
    const answer = await callApi<Journey>(application, `/api/v1/messages/${sid}${query}`);
    expect(answer.status).toBe(200);
    return answer.body;
  }

  async function report(messageSid: string, status: string, errorCode?: number): Promise<void> {
    const to = recipientOf(messageSid);
    const parameters = whatsappStatusParameters({ messageSid, status, errorCode, to, from: '+15550001111' });
    expect((await application.twilio.sendCallback({ url: WEBHOOK_URL, parameters })).status).toBe(204);
  }

  it('leads from a policy failure to its SMS and back', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await report(twilioSid, 'sent');
    await policyFailure(application, twilioSid);
    const { smsMessageSid } = await untilAllIsDone(application, twilioSid);
    const original = await until('the SMS to be delivered', async () => {
      const journey = await journeyOf(twilioSid);
      return journey.counterpart?.currentStatus === 'delivered' && journey;
    });
    expect(original).toMatchObject({
      role: 'original',
      currentStatus: 'undelivered',
      companyId: expect.any(String) as unknown,
      fallback: { state: 'sent', meaning: 'Twilio accepted the SMS.' },
      counterpart: { messageSid: smsMessageSid, href: `/api/v1/messages/${smsMessageSid ?? ''}` },
    });
    expect(original.decision).toMatch(
      new RegExp(`^63049 on WhatsApp → SMS: sent as ${smsMessageSid ?? ''}, delivered after \\d+\\.\\d s$`),
    );
    const sms = await journeyOf(smsMessageSid ?? '');
    expect(sms).toMatchObject({
      role: 'fallback_sms',
      currentStatus: 'delivered',
      decision: original.decision,
      companyId: original.companyId,
      counterpart: { messageSid: twilioSid, currentStatus: 'undelivered' },
    });
    expect(sms.counterpart?.events.map(({ status }) => status)).toEqual(['sent', 'undelivered']);
    const fallback = await callApi(application, sms.fallback?.href ?? '');
    expect(fallback).toMatchObject({ status: 200, body: { originalMessageSid: twilioSid } });
  });

  it('has the events in the order in which they happened, not in which they arrived', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    for (const status of ['read', 'sent', 'queued', 'delivered']) await report(twilioSid, status);
    const journey = await journeyOf(twilioSid);
    expect(journey.events.map(({ status }) => status)).toEqual(['queued', 'sent', 'delivered', 'read']);
    expect(journey).toMatchObject({
      role: 'alone',
      currentStatus: 'read',
      decision: 'No SMS: the message is read',
      fallback: null,
      counterpart: null,
    });
  });

  it('says why no SMS was sent', async () => {
    const { twilioSid } = await seedMessage(application.dataSource, { company: false });
    await policyFailure(application, twilioSid);
    await untilAllIsDone(application, twilioSid);
    expect((await journeyOf(twilioSid)).decision).toBe(
      '63049 on WhatsApp → no SMS: the message belongs to no company. Set conversations.company_id, then try the fallback again',
    );
    const other = await seedMessage(application.dataSource);
    await report(other.twilioSid, 'failed', 63016);
    expect((await journeyOf(other.twilioSid)).decision).toBe('No SMS: its error 63016 is not one of 63049');
  });

  describe('in words', () => {
    const FIRST = randomMessageSid();
    const SECOND = randomMessageSid();
    const THIRD = randomMessageSid();

    const attempt = (outcome: EarlierAttempt['outcome'], code: string, smsMessageSid: string | null) => ({
      ...{ at: minutesAgo(8).toISOString(), from: '+15550001111', messagingServiceSid: null },
      ...{ outcome, code, smsMessageSid },
    });
    const skipped = (reason: string, row: Partial<SmsFallback> = {}) =>
      ({ state: 'skipped', reason, ...row }) as const;
    const sent = (...earlierAttempts: EarlierAttempt[]) =>
      ({ state: 'sent', smsMessageSid: randomMessageSid(), sentAt: minutesAgo(7), earlierAttempts }) as const;

    const DUPLICATE_OF = '01990000-0000-7000-8000-000000000000';

    const words: [string, Partial<SmsFallback>, RegExp][] = [
      [
        'delivered_meanwhile',
        skipped('delivered_meanwhile'),
        /→ no SMS: WhatsApp delivered the message before the SMS was sent$/,
      ],
      [
        'duplicate_of',
        skipped('duplicate_of', { duplicateOf: DUPLICATE_OF }),
        /→ no SMS: another SMS with the same text went to this person shortly before \(fallback 01990000-\S+\)$/,
      ],
      [
        'recipient_number_unknown',
        skipped('recipient_number_unknown', { toNumber: null, userId: 'US.13491208655302741918' }),
        /→ no SMS: the recipient is known by a WhatsApp user ID or a masked number only\./,
      ],
      [
        'text_not_rendered',
        skipped('text_not_rendered'),
        /→ no SMS: the text is a template with placeholders or its variables, and Twilio has no rendered text\./,
      ],
      [
        'too_late',
        skipped('too_late', { originalSentAt: minutesAgo(20 * 60 + 5), updatedAt: minutesAgo(5) }),
        /→ no SMS 20 h after the message was sent: the WhatsApp message is older than FALLBACK_MAX_AGE_MINUTES/,
      ],
      [
        'never_sent',
        {
          ...{ state: 'failed', reason: 'never_sent', lastErrorCode: '30001' },
          earlierAttempts: [attempt('never_sent', '30001', FIRST), attempt('never_sent', '30001', SECOND)],
        },
        new RegExp(
          `→ SMS failed \\(30001\\): Twilio accepted the SMS, and reported later that it never sent it \\(${FIRST}, ${SECOND}\\)$`,
        ),
      ],
      [
        'an SMS that was sent again',
        sent(attempt('never_sent', '30001', FIRST)),
        new RegExp(
          `→ SMS: sent again as SM\\w+ after Twilio had never sent ${FIRST} \\(30001\\), no status reported yet$`,
        ),
      ],
      [
        'an SMS from the default sender',
        sent(attempt('sender_refused', '21606', null)),
        /→ SMS: sent as SM\w+ after Twilio had refused another sender \(21606\), no status reported yet$/,
      ],
      [
        'an SMS with both before it',
        sent(attempt('sender_refused', '21660', null), attempt('never_sent', '30017', THIRD)),
        new RegExp(
          `→ SMS: sent again as SM\\w+ after Twilio had refused another sender \\(21660\\) and Twilio had never sent ${THIRD} \\(30017\\), `,
        ),
      ],
    ];

    it.each(words)('is %s', async (_, row, expected) => {
      const { twilioSid } = await seedFallback(application, row);
      expect((await journeyOf(twilioSid)).decision).toMatch(expected);
    });
  });

  it('opens by the id of the fallback that was claimed for the message', async () => {
    const { twilioSid, fallbackId } = await seedFallback(application, {
      state: 'skipped',
      reason: 'no_text',
    });
    expect(await journeyOf(fallbackId)).toMatchObject({ messageSid: twilioSid, role: 'original' });
    expect((await callApi(application, `/api/v1/messages/${randomUUID()}`)).status).toBe(404);
  });

  it('of an SMS that was never sent shows the outcome of the one after it', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const { callbackPlan } = application.twilio;
    application.twilio.callbackPlan = sequence(neverSent(30001), callbackPlan);
    await policyFailure(application, twilioSid);
    const { smsMessageSid, earlierAttempts } = await until('the SMS to be sent again', async () => {
      const fallback = await untilAllIsDone(application, twilioSid);
      return fallback.earlierAttempts.length === 1 && fallback.state === 'sent' && fallback;
    });
    application.twilio.callbackPlan = callbackPlan;
    const [first] = earlierAttempts;
    const words = new RegExp(
      `sent again as ${smsMessageSid ?? ''} after Twilio had never sent ${first?.smsMessageSid ?? ''} \\(30001\\), delivered after`,
    );
    for (const sid of [twilioSid, smsMessageSid, first?.smsMessageSid]) {
      const journey = await until('the SMS to be delivered', async () => {
        const found = await journeyOf(sid ?? '');
        return found.decision.includes('delivered after') && found;
      });
      expect(journey.decision).toMatch(words);
    }
    expect(await journeyOf(first?.smsMessageSid ?? '')).toMatchObject({
      ...{ role: 'fallback_sms', currentStatus: 'failed', counterpart: { messageSid: twilioSid } },
    });
  });

  it('masks the telephone numbers unless whole ones are requested', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await report(twilioSid, 'delivered');
    const number = recipientOf(twilioSid);
    expect((await journeyOf(twilioSid)).events[0]?.to).toBe(`+*******${number.slice(-4)}`);
    expect((await journeyOf(twilioSid, '?numbers=true')).events[0]?.to).toBe(number);
  });

  it('exists for a stored message without reports', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    expect(await journeyOf(twilioSid)).toMatchObject({
      events: [],
      currentStatus: null,
      decision: 'No SMS: no status of the message was reported',
    });
  });

  it('is answered 404 for an unknown message', async () => {
    const answer = await callApi(application, '/api/v1/messages/SMunknown');
    expect(answer).toMatchObject({
      status: 404,
      body: { message: 'There is no message SMunknown' },
    });
  });
});
