import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FallbackOutcomes } from '../../src/fallback/fallback-outcomes.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { TestApplication } from '../support/application.js';
import { findFallback } from '../support/fallbacks.js';
import { addEvents, follow, followingOnDemand, forgetEvents } from '../support/following.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { randomMessageSid } from '../support/seed.js';
import { callApi, withAdminKeys } from './api.js';

interface UndeliveredPage {
  items: {
    originalMessageSid: string;
    state: string;
    smsDeliveredAt: string | null;
    smsUndeliveredAt: string | null;
    smsErrorCode: string | null;
  }[];
  nextCursor: string | null;
}

describe('the fallbacks whose SMS was sent and not delivered', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys, override: followingOnDemand });
  });

  beforeEach(async () => {
    await forgetEvents(application);
    await application.query('delete from sms_fallbacks');
  });

  afterAll(async () => {
    await application.close();
  });

  async function seedSent(minutes: number): Promise<{ original: string; sms: string }> {
    const sms = randomMessageSid();
    const { twilioSid } = await seedFallback(application, {
      state: 'sent',
      smsMessageSid: sms,
      sentAt: minutesAgo(minutes),
      createdAt: minutesAgo(minutes),
    });
    return { original: twilioSid, sms };
  }

  async function addEvent(sid: string, status: string, at: Date, errorCode: string | null = null) {
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at, error_code)
       values ($1, $2, 'sms', 'AC1', '{}', $3, $4)`,
      [sid, status, at, errorCode],
    );
  }

  async function list(query = ''): Promise<UndeliveredPage> {
    const answer = await callApi<UndeliveredPage>(application, `/api/v1/fallbacks?undelivered=true${query}`);
    expect(answer.status).toBe(200);
    return answer.body;
  }

  const originalsOf = ({ items }: UndeliveredPage) =>
    items.map(({ originalMessageSid }) => originalMessageSid);

  it('are listed with the code, the newest first, and none of the others', async () => {
    const [failed, delivered, undelivered, unreported] = [
      await seedSent(60),
      await seedSent(50),
      await seedSent(40),
      await seedSent(30),
    ];
    const at = minutesAgo(20);
    await addEvent(failed.sms, 'failed', at, '30008');
    await addEvent(delivered.sms, 'delivered', at);
    await addEvent(undelivered.sms, 'undelivered', at, '30005');
    await addEvent(unreported.sms, 'sent', at);
    // The original's own failure is the reason for the SMS.
    await addEvent(unreported.original, 'undelivered', at, '63049');
    await follow(application);
    const page = await list();
    expect(originalsOf(page)).toEqual([undelivered.original, failed.original]);
    expect(page.items[0]).toMatchObject({
      state: 'sent',
      smsDeliveredAt: null,
      smsUndeliveredAt: at.toISOString(),
      smsErrorCode: '30005',
    });
    expect(originalsOf(await list('&limit=1'))).toEqual([undelivered.original]);
    expect(originalsOf(await list(`&to=${minutesAgo(45).toISOString()}`))).toEqual([failed.original]);
  });

  it('leave the list once the SMS is delivered, whichever is reported first', async () => {
    const [one, other] = [await seedSent(60), await seedSent(50)];
    await addEvent(one.sms, 'failed', minutesAgo(40), '30008');
    await addEvent(other.sms, 'delivered', minutesAgo(40));
    await follow(application);
    expect(originalsOf(await list())).toEqual([one.original]);
    await addEvent(one.sms, 'delivered', minutesAgo(30));
    await addEvent(other.sms, 'undelivered', minutesAgo(30), '30005');
    await follow(application);
    expect(originalsOf(await list())).toEqual([]);
  });

  it('keep the first report if both are followed at once', async () => {
    const { sms } = await seedSent(60);
    const first = minutesAgo(40);
    await addEvent(sms, 'failed', first, '30008');
    await addEvent(sms, 'undelivered', minutesAgo(30), '30005');
    await follow(application);
    expect((await list()).items).toMatchObject([
      { smsUndeliveredAt: first.toISOString(), smsErrorCode: '30008' },
    ]);
  });

  it('are known if the answer to the sending was lost and the failure was followed before', async () => {
    const sms = randomMessageSid();
    const { twilioSid } = await seedFallback(application, {
      state: 'uncertain',
      attempts: 1,
      createdAt: minutesAgo(20),
      nextAttemptAt: minutesAgo(-60),
    });
    await addEvent(sms, 'undelivered', minutesAgo(15), '30005');
    await follow(application);
    const fallback = await findFallback(application, twilioSid);
    if (fallback === null) throw new Error('There is no fallback');
    await application.app
      .get(FallbackOutcomes, { strict: false })
      .record(fallback, { outcome: 'accepted', messageSid: sms, status: 'accepted' });
    expect((await list()).items).toMatchObject([{ originalMessageSid: twilioSid, smsErrorCode: '30005' }]);
  });
});
