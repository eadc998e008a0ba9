import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { storeClinic } from '../../simulator/demo/clinic.js';
import { storeHistory } from '../../simulator/demo/history.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { addEvents, follow, followingOnDemand, forgetEvents } from '../support/following.js';
import { minutesAgo } from '../support/minutes-ago.js';

/** Its events are older than those that are already counted, and so are the times of its fallbacks. */
describe('the backdated history of the demo', () => {
  let application: TestApplication;
  let companyId: string;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys, override: followingOnDemand });
    companyId = await storeClinic(application.dataSource);
  });

  beforeEach(async () => {
    await forgetEvents(application);
    await application.query('delete from sms_fallbacks');
  });

  afterAll(async () => {
    await application.close();
  });

  const store = () => storeHistory(application.dataSource, { companyId, statusCallbackUrl: WEBHOOK_URL });

  async function expectAllCounted(): Promise<void> {
    const [stored] = await application.query<{ events: number; delivered: number }>(
      `select (select count(*)::int from message_events) as events,
              (select count(*)::int from message_events join sms_fallbacks on sms_message_sid = message_sid
                where message_status = 'delivered') as delivered`,
    );
    expect(stored?.delivered).toBeGreaterThan(100);
    const statistics = async () => {
      const from = minutesAgo(15 * 24 * 60).toISOString();
      const { body } = await callApi<{ funnel: { smsDelivered: number }; events: { count: number }[] }>(
        application,
        `/api/v1/stats?bucket=day&from=${from}`,
      );
      const events = body.events.reduce((sum, { count }) => sum + count, 0);
      return { delivered: body.funnel.smsDelivered, events };
    };
    expect(await statistics()).toMatchObject({ events: stored?.events });
    await follow(application);
    expect(await statistics()).toEqual(stored);
    const [counted] = await application.query<{ minutes: number; days: number }>(
      `select sum(events) filter (where unit = 'minute')::int as minutes,
              sum(events) filter (where unit = 'day')::int as days from message_event_counts`,
    );
    expect(counted).toEqual({ minutes: stored?.events, days: stored?.events });
  }

  it('is counted completely if newer events were counted before', async () => {
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       values ('SMnewer', 'delivered', 'whatsapp', 'AC1', '{}', $1)`,
      [minutesAgo(1)],
    );
    await follow(application);
    await store();
    await expectAllCounted();
  });

  it('is counted completely if counting runs between any two of its statements', async () => {
    const { dataSource } = application;
    const query = dataSource.query.bind(dataSource);
    let isCounting = false;
    // A round of counting follows a statement outside a transaction, but not one inside.
    dataSource.query = async (...parameters: Parameters<typeof query>): Promise<never> => {
      const rows: unknown = await query(...parameters);
      if (!isCounting) {
        isCounting = true;
        await follow(application).finally(() => (isCounting = false));
      }
      return rows as never;
    };
    const stored = new AbortController();
    const rounds = (async () => {
      while (!stored.signal.aborted) await follow(application);
    })();
    try {
      await store();
    } finally {
      stored.abort();
      await rounds;
      dataSource.query = query;
    }
    await expectAllCounted();
  });
});
