import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { seedFallback } from '../commands/ended-fallback.js';
import { keyOf, OTHER_SENDER, SENDER } from '../fallback/sender-lines.js';
import { TestApplication } from '../support/application.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { callApi, withAdminKeys } from './api.js';

interface Queue {
  pace: { waiting: number; secondsToDrain: number; senders: Record<string, unknown>[] };
}

describe('the pace of senders, as operators see it,', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      // Nothing is sent meanwhile.
      env: {
        ...withAdminKeys,
        SMS_PER_SECOND: '2',
        WORKER_CONCURRENCY: '0',
        DATABASE_URL: 'postgresql://unused',
      },
    });
  });

  afterEach(async () => {
    await application.query('truncate sms_fallbacks, sms_senders');
  });

  afterAll(() => application.close());

  async function addSender(key: string, columns: string, values: string): Promise<void> {
    await application.query(`insert into sms_senders (key, ${columns}) values ($1, ${values})`, [key]);
  }

  async function addWaiting(pacedBy: string, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      await seedFallback(application, {
        ...{ state: 'claimed', reason: 'waiting_for_sender', pacedBy },
        sendBefore: minutesAgo(-60),
        nextAttemptAt: minutesAgo(-60),
      });
    }
  }

  async function pace(): Promise<Queue['pace']> {
    const { status, body } = await callApi<Queue>(application, '/api/v1/queue');
    expect(status).toBe(200);
    return body.pace;
  }

  async function metric(name: string): Promise<number> {
    const { text } = await callApi(application, '/metrics');
    return Number(new RegExp(`^whatsapp_sms_fallback_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  it('is calm while nothing waits', async () => {
    expect(await pace()).toEqual({ waiting: 0, secondsToDrain: 0, senders: [] });
    expect(await metric('fallbacks_waiting_for_sender')).toBe(0);
    expect(await metric('seconds_to_drain')).toBe(0);
    expect(await metric('senders_slowed_down')).toBe(0);
  });

  it('has the current rate of each sender with a masked number, and the time until the longest line is gone', async () => {
    await addSender(keyOf(SENDER), 'slowed_at, slowed_by, slowed_from, slowed_to', `now(), '21611', 1, 1`);
    await addSender(keyOf(OTHER_SENDER), 'free_at', 'now()');
    await addSender('AC1 MG1', 'free_at', 'now()');
    await addWaiting(keyOf(SENDER), 6);
    await addWaiting(keyOf(OTHER_SENDER), 8);
    const { waiting, secondsToDrain, senders } = await pace();
    expect(waiting).toBe(14);
    // Eight at two per second take 4 s, and six at one per second 6 s, less what it has recovered meanwhile.
    expect(secondsToDrain).toBeGreaterThan(4);
    expect(secondsToDrain).toBeLessThanOrEqual(6.5);
    expect(senders).toMatchObject([
      { from: '+*******0001', waiting: 8, smsPerSecond: 2, slowedBy: null, messagingServiceSid: null },
      { from: '+*******1111', waiting: 6, slowedBy: '21611', notBefore: null },
      { accountSid: 'AC1', from: null, messagingServiceSid: 'MG1', waiting: 0, smsPerSecond: 2 },
    ]);
    expect(senders[1]?.['smsPerSecond']).toBeGreaterThanOrEqual(1);
    expect(senders[1]?.['smsPerSecond']).toBeLessThan(2);
    expect(await metric('fallbacks_waiting_for_sender')).toBe(14);
    expect(await metric('seconds_to_drain')).toBeGreaterThan(4);
    expect(await metric('senders_slowed_down')).toBe(1);
  });

  it('includes the wait that Twilio asks for', async () => {
    await addSender(keyOf(SENDER), 'not_before', `now() + interval '100 seconds'`);
    await addWaiting(keyOf(SENDER), 2);
    const { secondsToDrain, senders } = await pace();
    expect(secondsToDrain).toBeGreaterThan(90);
    expect(secondsToDrain).toBeLessThanOrEqual(101);
    expect(senders).toMatchObject([{ smsPerSecond: 2, notBefore: expect.any(String) }]);
  });
});
