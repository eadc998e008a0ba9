import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { seedFallback } from '../commands/ended-fallback.js';
import { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { follow, followingOnDemand, queueEvents } from '../support/following.js';
import { TestApplication } from '../support/application.js';
import { callApi, withAdminKeys } from './api.js';

const ROUTE = '/api/v1/stats';
const DAY = 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z';

describe('the statistics of a range', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys, override: followingOnDemand });
    const event = { channel: 'whatsapp', accountSid: 'AC1', payload: {}, messageStatus: 'undelivered' };
    const times = ['10:05', '10:55', '11:00'];
    for (const [index, time] of times.entries()) {
      const createdAt = new Date(`2026-03-01T${time}:00Z`);
      const messageEventId = `00000000-0000-4000-8000-00000000000${index}`;
      await application.dataSource.manager.save(MessageEvent, [
        { ...event, id: messageEventId, messageSid: `SMoriginal${index}`, errorCode: '63049', createdAt },
        {
          ...event,
          messageSid: `SMsms${index}`,
          channel: 'sms',
          messageStatus: index === 0 ? 'delivered' : 'sent',
          createdAt,
        },
      ]);
      const sentAt = new Date(createdAt.getTime() + 2_000 * (index + 1));
      const sms = { state: 'sent', smsMessageSid: `SMsms${index}`, sentAt } as const;
      await seedFallback(
        application,
        { createdAt: new Date(createdAt.getTime() + 500), messageEventId, ...sms },
        { twilioSid: `SMoriginal${index}` },
      );
    }
    await queueEvents(application);
    await follow(application);
    const createdAt = new Date('2026-03-01T11:30:00Z');
    await seedFallback(application, { createdAt, state: 'skipped', reason: 'no_text' });
    await seedFallback(application, { createdAt, state: 'skipped', reason: 'no_text' });
    await seedFallback(application, { createdAt, state: 'skipped', reason: 'no_recipient' });
    await seedFallback(application, {
      createdAt,
      state: 'failed',
      reason: 'rejected_by_twilio',
      lastErrorCode: '21610',
    });
    await seedFallback(application, { createdAt, state: 'claimed', nextAttemptAt: new Date('2099-01-01') });
    await seedFallback(application, {
      createdAt: new Date('2026-03-02T00:00:00Z'),
      state: 'skipped',
      reason: 'no_text',
    });
  });

  afterAll(async () => {
    await application.close();
  });

  it('count the events by bucket, channel, status and error code', async () => {
    const { body } = await callApi(application, `${ROUTE}?${DAY}&bucket=hour`);
    expect(body.events).toEqual([
      { at: '2026-03-01T10:00:00.000Z', channel: 'sms', status: 'delivered', errorCode: null, count: 1 },
      { at: '2026-03-01T10:00:00.000Z', channel: 'sms', status: 'sent', errorCode: null, count: 1 },
      {
        at: '2026-03-01T10:00:00.000Z',
        channel: 'whatsapp',
        status: 'undelivered',
        errorCode: '63049',
        count: 2,
      },
      { at: '2026-03-01T11:00:00.000Z', channel: 'sms', status: 'sent', errorCode: null, count: 1 },
      {
        at: '2026-03-01T11:00:00.000Z',
        channel: 'whatsapp',
        status: 'undelivered',
        errorCode: '63049',
        count: 1,
      },
    ]);
  });

  it('have the funnel from the policy failures to the delivered SMS, and the other outcomes', async () => {
    const { body } = await callApi(application, `${ROUTE}?${DAY}&bucket=day`);
    expect(body.funnel).toEqual({
      policyFailures: 8,
      smsSent: 3,
      smsDelivered: 1,
      open: 1,
      skipped: [
        {
          reason: 'no_text',
          meaning:
            'Neither messages.body nor Twilio has a text, e.g. for a picture, or with message redaction.',
          count: 2,
        },
        { reason: 'no_recipient', meaning: 'Neither the callback nor Twilio names the recipient.', count: 1 },
      ],
      failed: [
        {
          reason: 'rejected_by_twilio',
          meaning: 'Twilio rejected the SMS.',
          errorCode: '21610',
          count: 1,
        },
      ],
    });
    expect(body.course).toEqual([
      {
        at: '2026-03-01T00:00:00.000Z',
        policyFailures: 8,
        smsSent: 3,
        smsDelivered: 1,
        skipped: 3,
        failed: 1,
      },
    ]);
  });

  it('explain the error codes', async () => {
    const { body } = await callApi<{ items: { code: string; meaning: string }[] }>(
      application,
      '/api/v1/error-codes',
    );
    expect(body.items.find(({ code }) => code === '21610')?.meaning).toContain('opted out');
    expect(body.items.every(({ code, meaning }) => /^\d{5}$/.test(code) && meaning.endsWith('.'))).toBe(true);
  });

  it('have the time from the callback to the SMS', async () => {
    const { body } = await callApi(application, `${ROUTE}?${DAY}&bucket=day`);
    expect(body.timeToSms).toEqual({ p50: 4, p95: 5.8, longest: 6 });
  });

  it('cover the last day in hours by default', async () => {
    const { status, body } = await callApi(application, ROUTE);
    expect(status).toBe(200);
    expect(body.bucket).toBe('hour');
    expect(Date.parse(String(body.to)) - Date.parse(String(body.from))).toBe(86_400_000);
    expect(Date.now() - Date.parse(String(body.to))).toBeLessThan(60_000);
  });

  it('cover whole minutes, which the answer names', async () => {
    const time = 'from=2026-03-01T10:05:59.999Z&to=2026-03-01T10:55:00.001Z';
    const { body } = await callApi<{ events: { count: number }[] }>(application, `${ROUTE}?${time}`);
    expect(body).toMatchObject({ from: '2026-03-01T10:05:00.000Z', to: '2026-03-01T10:56:00.000Z' });
    expect(body.events.map(({ count }) => count)).toEqual([1, 1, 2]);
  });

  const refusals: [string, string][] = [
    [`${DAY}&bucket=minute`, 'bucket: is too fine for this time range: at most 6 hours'],
    ['from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z&bucket=hour', 'bucket: is too fine'],
    ['from=2025-01-01T00:00:00Z&to=2026-03-01T00:00:00Z&bucket=day', 'bucket: is too fine'],
    ['from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z', 'from: is not before'],
    ['bucket=week', 'bucket: '],
  ];

  it.each(refusals)('are refused with 400 for ?%s', async (query, reason) => {
    const answer = await callApi<{ message: string[] }>(application, `${ROUTE}?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.body.message.join('\n')).toContain(reason);
  });
});
