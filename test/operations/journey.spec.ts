import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { policyFailure, recipientOf, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
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
    application = await TestApplication.start({ env: withAdminKeys });
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

  it('has the events in the order in which they came about, not in the one in which they came', async () => {
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

  it('says why there is no SMS', async () => {
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

  it('masks the telephone numbers unless whole ones are asked for', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await report(twilioSid, 'delivered');
    const number = recipientOf(twilioSid);
    expect((await journeyOf(twilioSid)).events[0]?.to).toBe(`+*******${number.slice(-4)}`);
    expect((await journeyOf(twilioSid, '?numbers=true')).events[0]?.to).toBe(number);
  });

  it('is known of a message that is stored and of which nothing was reported', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    expect(await journeyOf(twilioSid)).toMatchObject({
      events: [],
      currentStatus: null,
      decision: 'No SMS: no status of the message was reported',
    });
  });

  it('is answered 404 for a message that nobody knows', async () => {
    const answer = await callApi(application, '/api/v1/messages/SMunknown');
    expect(answer).toMatchObject({
      status: 404,
      body: { message: 'Nothing is known of the message SMunknown' },
    });
  });
});
