import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SentSmsStore } from '../../src/fallback/sent-sms.store.js';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { findFallback, policyFailure, untilAllIsDone } from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { countEvents, countingOnDemand, forgetEvents } from './counting.js';

describe('a fallback with a delivered SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys, override: countingOnDemand() });
  });

  beforeEach(() => forgetEvents(application));

  afterAll(async () => {
    await application.close();
  });

  async function delivered(): Promise<number> {
    const { body } = await callApi<{ funnel: { smsDelivered: number } }>(application, '/api/v1/stats');
    return body.funnel.smsDelivered;
  }

  async function addEvent(messageSid: string, status: string, at: Date): Promise<void> {
    await application.query(
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       values ($1, $2, 'sms', 'AC1', '{}', $3)`,
      [messageSid, status, at],
    );
  }

  async function deliveredAt({ originalMessageSid }: Pick<SmsFallback, 'originalMessageSid'>) {
    return (await findFallback(application, originalMessageSid))?.smsDeliveredAt;
  }

  it('is one before its event is counted, after that, and when the event is deleted', async () => {
    const before = await delivered();
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    // Forces the order in which the report is stored after Twilio's answer to the sending. Here either order can
    // happen.
    await application.query('update sms_fallbacks set sms_delivered_at = null where id = $1', [fallback.id]);
    expect(await delivered()).toBe(before + 1);
    await application.query(`update message_events set created_at = created_at - interval '5 minutes'`);
    await countEvents(application);
    const [event] = await application.query<{ at: Date }>(
      `select created_at as at from message_events where message_sid = $1 and message_status = 'delivered'`,
      [fallback.smsMessageSid],
    );
    expect(event?.at).toBeInstanceOf(Date);
    expect(await deliveredAt(fallback)).toEqual(event?.at);
    expect(await delivered()).toBe(before + 1);
    await application.query('delete from message_events');
    expect(await delivered()).toBe(before + 1);
  });

  it('is known by the first event that reports it, whatever the other fallbacks', async () => {
    const sids = [randomMessageSid(), randomMessageSid(), randomMessageSid()];
    const [one = '', other = '', none = ''] = sids;
    const before = await delivered();
    const seeded = [];
    for (const smsMessageSid of sids) {
      const sent = {
        state: 'sent',
        smsMessageSid,
        sentAt: minutesAgo(30),
        createdAt: minutesAgo(31),
      } as const;
      seeded.push(await seedFallback(application, sent));
    }
    const first = minutesAgo(20);
    await addEvent(one, 'delivered', first);
    await addEvent(one, 'read', minutesAgo(10));
    await addEvent(other, 'read', first);
    await addEvent(none, 'undelivered', first);
    await countEvents(application);
    const times = await Promise.all(
      seeded.map(({ twilioSid }) => deliveredAt({ originalMessageSid: twilioSid })),
    );
    expect(times).toEqual([first, first, null]);
    expect(await delivered()).toBe(before + 2);
  });

  it('is known if the answer to its sending was lost and its delivery was counted before it was found', async () => {
    const before = await delivered();
    const messageSid = randomMessageSid();
    const { twilioSid } = await seedFallback(application, {
      state: 'uncertain',
      attempts: 1,
      createdAt: minutesAgo(20),
      nextAttemptAt: minutesAgo(-60),
    });
    const at = minutesAgo(15);
    await addEvent(messageSid, 'delivered', at);
    await countEvents(application);
    expect(await delivered()).toBe(before);
    const fallback = await findFallback(application, twilioSid);
    if (fallback === null) throw new Error('There is no fallback');
    await application.app
      .get(SentSmsStore, { strict: false })
      .record(fallback, { outcome: 'accepted', messageSid, status: 'accepted' }, fallback.body ?? '');
    expect(await deliveredAt(fallback)).toEqual(at);
    expect(await delivered()).toBe(before + 1);
  });
});
