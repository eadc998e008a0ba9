import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { MessageEvent } from '../../src/message-events/message-event.entity.js';
import { MODULE_OPTIONS_TOKEN, OldEvents } from '../../src/retention/old-rows.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { addEvents, follow, followingOnDemand, forgetEvents } from '../support/following.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { until } from '../support/until.js';

const daysAgo = (days: number) => minutesAgo(days * 1_440);

describe('events that are older than RETENTION_DAYS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: withAdminKeys,
      override: (builder) =>
        followingOnDemand(builder)
          .overrideProvider(MODULE_OPTIONS_TOKEN)
          .useValue({ retentionDays: 30, intervalMilliseconds: 0 }),
    });
  });

  beforeEach(() => forgetEvents(application));

  afterAll(async () => {
    await application.close();
  });

  async function addEvent(messageSid: string, days: number, columns: Partial<MessageEvent> = {}) {
    const { channel = 'whatsapp', errorCode = null, smsFallbackId = null } = columns;
    await addEvents(
      application,
      `insert into message_events (
         message_sid, message_status, channel, error_code, sms_fallback_id, account_sid, payload, created_at)
       values ($1, 'failed', $2, $3, $4, 'AC1', '{}', $5)`,
      [messageSid, channel, errorCode, smsFallbackId, daysAgo(days)],
    );
  }

  async function sids(): Promise<string[]> {
    const rows = await application.query<{ sid: string }>(
      'select message_sid as sid from message_events order by message_sid',
    );
    return rows.map(({ sid }) => sid);
  }

  function deleteOld(): Promise<void> {
    return application.app.get(OldEvents, { strict: false }).runOnce();
  }

  async function runOnce(): Promise<void> {
    await follow(application);
    await deleteOld();
  }

  it('are deleted, and younger ones are not', async () => {
    await addEvent('SMold', 30.1);
    await addEvent('SMyoung', 29.9);
    await runOnce();
    expect(await sids()).toEqual(['SMyoung']);
  });

  it('stay until they are counted, and remain in the statistics', async () => {
    const month = `from=${daysAgo(60).toISOString()}&to=${daysAgo(0).toISOString()}&bucket=day`;
    const statistics = async () => (await callApi(application, `/api/v1/stats?${month}`)).body;
    await addEvent('SMold', 30.1, { errorCode: '63049' });
    await addEvent('SMyoung', 29.9);
    const before = await statistics();
    await deleteOld();
    expect(await sids()).toEqual(['SMold', 'SMyoung']);
    await runOnce();
    expect(await sids()).toEqual(['SMyoung']);
    expect(await statistics()).toEqual(before);
    expect(before).toMatchObject({ events: [{ errorCode: '63049', count: 1 }, { count: 1 }] });
  });

  it('stay while an open fallback needs them, and go once it has ended', async () => {
    const nextAttemptAt = minutesAgo(-60);
    const open = await seedFallback(
      application,
      { state: 'uncertain', nextAttemptAt },
      { twilioSid: 'SMopen' },
    );
    await seedFallback(application, { state: 'skipped', reason: 'no_text' }, { twilioSid: 'SMended' });
    await addEvent('SMopen', 40);
    await addEvent('SMsmsOfOpen', 40, { channel: 'sms', smsFallbackId: open.fallbackId });
    await addEvent('SMended', 40);
    await runOnce();
    expect(await sids()).toEqual(['SMopen', 'SMsmsOfOpen']);
    await application.query(
      `update sms_fallbacks set state = 'failed', reason = 'rejected_by_twilio' where id = $1`,
      [open.fallbackId],
    );
    await runOnce();
    expect(await sids()).toEqual([]);
  });

  it('are deleted in batches, however many there are', async () => {
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       select 'SM' || n, 'sent', 'sms', 'AC1', '{}', now() - interval '31 days' from generate_series(1, 2500) n`,
    );
    await addEvent('SMyoung', 1);
    await runOnce();
    expect(await sids()).toEqual(['SMyoung']);
  });

  it('take the rejected callbacks of their time along', async () => {
    await application.query(
      `insert into rejected_callbacks (reason, payload, created_at)
       values ('old', '{}', now() - interval '31 days'), ('young', '{}', now())`,
    );
    await runOnce();
    expect(await application.query('select reason from rejected_callbacks')).toEqual([{ reason: 'young' }]);
  });
});

describe('RETENTION_DAYS', () => {
  async function startWithOldEvent(env: Record<string, string>): Promise<TestApplication> {
    const application = await TestApplication.start({ env, override: followingOnDemand });
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       values ('SMold', 'sent', 'sms', 'AC1', '{}', now() - interval '8 days')`,
    );
    return application;
  }

  function count(application: TestApplication): Promise<{ count: string }[]> {
    return application.query<{ count: string }>('select count(*) from message_events');
  }

  it('deletes by itself if it is set', async () => {
    const application = await startWithOldEvent({ RETENTION_DAYS: '7' });
    const round = application.app.get(OldEvents, { strict: false });
    await follow(application);
    await round.runOnce();
    await until('the event to be gone', async () => (await count(application))[0]?.count === '0');
    await application.close();
  });

  it('keeps everything if it is not set', async () => {
    const application = await startWithOldEvent({});
    await follow(application);
    await application.app.get(OldEvents, { strict: false }).runOnce();
    expect(await count(application)).toEqual([{ count: '1' }]);
    await application.close();
  });
});
