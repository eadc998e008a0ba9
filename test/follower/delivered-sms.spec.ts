import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { FallbackOutcomes } from '../../src/fallback/fallback-outcomes.js';
import { RECORD_OUTCOMES, RECORD_SENT } from '../../src/fallback/fallback.sql.js';

import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { MessageEventsService } from '../../src/message-events/message-events.service.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { findFallback, policyFailure, untilAllIsDone } from '../support/fallbacks.js';
import { addEvents, follow, followingOnDemand, forgetEvents } from '../support/following.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { minutesAgo } from '../support/minutes-ago.js';

describe('a fallback with a delivered SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys, override: followingOnDemand });
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
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       values ($1, $2, 'sms', 'AC1', '{}', $3)`,
      [messageSid, status, at],
    );
  }

  async function deliveredAt({ originalMessageSid }: Pick<SmsFallback, 'originalMessageSid'>) {
    return (await findFallback(application, originalMessageSid))?.smsDeliveredAt;
  }

  it('is one when its event is followed, and stays one when the event is deleted', async () => {
    const before = await delivered();
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const fallback = await untilAllIsDone(application, twilioSid);
    const [event] = await application.query<{ at: Date }>(
      `select created_at as at from message_events where message_sid = $1 and message_status = 'delivered'`,
      [fallback.smsMessageSid],
    );
    expect(event?.at).toBeInstanceOf(Date);
    expect(await deliveredAt(fallback)).toEqual(event?.at);
    expect(await delivered()).toBe(before + 1);
    await application.query('delete from message_events');
    await application.app.get(MessageEventsService).followAgain([fallback.smsMessageSid ?? '']);
    await follow(application);
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
    await follow(application);
    const times = await Promise.all(
      seeded.map(({ twilioSid }) => deliveredAt({ originalMessageSid: twilioSid })),
    );
    expect(times).toEqual([first, first, null]);
    expect(await delivered()).toBe(before + 2);
  });

  it('is known if the answer to its sending was lost and its delivery was followed before it was found', async () => {
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
    await follow(application);
    expect(await delivered()).toBe(before);
    const fallback = await findFallback(application, twilioSid);
    if (fallback === null) throw new Error('There is no fallback');
    await application.app
      .get(FallbackOutcomes, { strict: false })
      .record(fallback, { outcome: 'accepted', messageSid, status: 'accepted' });
    expect(await deliveredAt(fallback)).toEqual(at);
    expect(await delivered()).toBe(before + 1);
  });

  it('is up to date in messages if its callbacks were followed before its row was added', async () => {
    const messageSid = randomMessageSid();
    const { twilioSid } = await seedFallback(application, {
      state: 'sending',
      attempts: 1,
      createdAt: minutesAgo(20),
      nextAttemptAt: minutesAgo(-60),
    });
    await addEvent(messageSid, 'delivered', minutesAgo(15));
    await addEvent(twilioSid, 'read', minutesAgo(10));
    await application.query(`update sms_fallbacks set state = 'claimed' where original_message_sid = $1`, [
      twilioSid,
    ]);
    await follow(application);
    expect((await findFallback(application, twilioSid))?.duplicateDeliveryAt).toBeNull();
    const fallback = await findFallback(application, twilioSid);
    if (fallback === null) throw new Error('There is no fallback');
    await application.app
      .get(FallbackOutcomes, { strict: false })
      .record(fallback, { outcome: 'accepted', messageSid, status: 'accepted' });
    await follow(application);
    expect(
      await application.query('select status from messages where twilio_sid = $1', [messageSid]),
    ).toEqual([{ status: 'delivered' }]);
    expect((await findFallback(application, twilioSid))?.duplicateDeliveryAt).not.toBeNull();
  });
});

describe('what the log says of an SMS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  it.each([
    ['its outcome', RECORD_OUTCOMES, [['SMnone'], ['delivered', 'read']]],
    ['its record', RECORD_SENT, [[randomUUID()], ['SMnone'], ['Hello'], [null], ['delivered'], [null]]],
  ])('is not searched for in the index of all times: %s', async (_, statement, parameters) => {
    for (let thousands = 0; thousands < 20; thousands += 1) {
      await application.query(
        `insert into message_events (message_sid, message_status, channel, account_sid, payload)
         select 'SM' || gen_random_uuid(), 'sent', 'whatsapp', 'AC1', '{}' from generate_series(1, 1000)`,
      );
    }
    const plan = await application.query<{ 'QUERY PLAN': string }>(`explain ${statement}`, parameters);
    const text = plan.map((line) => line['QUERY PLAN']).join('\n');
    expect(text).toContain('message_events');
    expect(text).not.toContain('message_events_created_at_idx');
  });
});
