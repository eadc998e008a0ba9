import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { SmsFallback } from '../../src/fallback/sms-fallback.entity.js';
import { StalledFallbacks } from '../../src/fallback/stalled-fallbacks.js';
import { MODULE_OPTIONS_TOKEN, OldFallbacks } from '../../src/retention/old-rows.js';
import { seedFallback } from '../commands/ended-fallback.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import {
  attemptsFor,
  findFallback,
  policyFailure,
  recipientOf,
  untilAllIsDone,
} from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { randomMessageSid } from '../support/seed.js';

const DAYS = 30;
const daysAgo = (days: number) => minutesAgo(days * 1_440);
const [old, young] = [daysAgo(DAYS + 0.1), daysAgo(DAYS - 0.1)];

describe('fallbacks that are older than RETENTION_DAYS', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: withAdminKeys,
      override: (builder) =>
        builder
          .overrideProvider(MODULE_OPTIONS_TOKEN)
          .useValue({ retentionDays: DAYS, intervalMilliseconds: 0 }),
    });
  });

  beforeEach(async () => {
    await application.query('delete from sms_fallbacks');
  });

  afterAll(async () => {
    await application.close();
  });

  function runOnce(): Promise<void> {
    return application.app.get(OldFallbacks, { strict: false }).runOnce();
  }

  async function seed(row: Partial<SmsFallback>): Promise<string> {
    const whole = { attempts: 1, createdAt: old, updatedAt: old, lastError: 'It was not taken', ...row };
    return (await seedFallback(application, whole)).twilioSid;
  }

  const sent = () => ({ state: 'sent', smsMessageSid: randomMessageSid(), sentAt: old }) as const;
  const rejected = { state: 'failed', reason: 'rejected_by_twilio', lastErrorCode: '21610' } as const;

  async function isErased(sid: string): Promise<boolean> {
    const fallback = await findFallback(application, sid);
    if (fallback === null) throw new Error(`The fallback of ${sid} is gone`);
    const { toNumber, body, lastError, erasedAt } = fallback;
    const blanked = [toNumber, body, lastError].filter((value) => value === null).length;
    if (blanked === 0 && erasedAt === null) return false;
    expect({ blanked, erasedAt }).toEqual({ blanked: 3, erasedAt: expect.any(Date) as unknown });
    return true;
  }

  it('lose the number and the text in every final state, and keep everything else', async () => {
    const sids = [
      await seed(sent()),
      await seed(rejected),
      await seed({ state: 'skipped', reason: 'too_late' }),
    ];
    const allElse = () =>
      application.query(
        `select to_jsonb(sms_fallbacks) - '{to_number,body,last_error,erased_at}'::text[] as columns
           from sms_fallbacks order by id`,
      );
    const before = await allElse();
    const statistics = async () => {
      const time = `from=${daysAgo(60).toISOString()}&to=${daysAgo(0).toISOString()}&bucket=day`;
      return (await callApi(application, `/api/v1/stats?${time}`)).body;
    };
    const counted = await statistics();
    await runOnce();
    for (const sid of sids) expect(await isErased(sid)).toBe(true);
    expect(await allElse()).toEqual(before);
    expect(await statistics()).toEqual(counted);
  });

  it('keep them while they are younger, or were retried recently', async () => {
    const sids = [
      await seed({ ...sent(), createdAt: young, updatedAt: young }),
      await seed({ ...rejected, retriedAt: young, updatedAt: young }),
    ];
    await runOnce();
    for (const sid of sids) expect(await isErased(sid)).toBe(false);
  });

  it.each(['claimed', 'sending', 'uncertain'] as const)('keep them while they are %s', async (state) => {
    const sid = await seed({ state, nextAttemptAt: minutesAgo(-60) });
    await runOnce();
    expect(await isErased(sid)).toBe(false);
  });

  it('are erased in batches, however many there are', async () => {
    await application.query(
      `insert into sms_fallbacks
         (original_message_sid, message_event_id, account_sid, state, reason, to_number, created_at, updated_at)
       select 'SM' || n, gen_random_uuid(), 'AC1', 'skipped', 'no_text', '+15550000000', $1, $1
         from generate_series(1, 2500) n`,
      [old],
    );
    await runOnce();
    expect(await application.query('select from sms_fallbacks where erased_at is null')).toEqual([]);
  });

  it('still prevent a second SMS, whatever is reported of the original', async () => {
    const sid = await seed(sent());
    await runOnce();
    await policyFailure(application, sid);
    await untilAllIsDone(application, sid);
    expect(attemptsFor(application, sid)).toEqual([]);
    expect(await isErased(sid)).toBe(true);
  });

  it('are not retried, because the outcome of their SMS can no longer be checked', async () => {
    const sid = await seed({ state: 'failed', reason: 'no_answer_from_twilio', unansweredAttempts: 1 });
    await runOnce();
    const answer = await callApi(application, `/api/v1/fallbacks/${sid}/retry`, { method: 'POST' });
    expect(answer).toMatchObject({ status: 202, body: { decision: 'erased' } });
    expect(await findFallback(application, sid)).toMatchObject({ state: 'failed' });
  });

  it('are not reopened when their SMS reports itself later', async () => {
    const sid = await seed({ state: 'failed', reason: 'no_answer_from_twilio' });
    await runOnce();
    await application.query(
      `with fallback as (update sms_fallbacks set updated_at = now() where original_message_sid = $1 returning id)
       insert into message_events (message_sid, message_status, channel, account_sid, payload, sms_fallback_id)
       select $2, 'delivered', 'sms', 'AC1', '{}', id from fallback`,
      [sid, randomMessageSid()],
    );
    await application.app.get(StalledFallbacks, { strict: false }).runOnce();
    expect(await findFallback(application, sid)).toMatchObject({ state: 'failed' });
  });

  it('are shown as erased, without a number', async () => {
    const sid = await seed(rejected);
    await runOnce();
    const { body } = await callApi(application, `/api/v1/fallbacks/${sid}?numbers=true`);
    expect(body).toMatchObject({ to: null, text: null, errorCode: '21610' });
    expect(body.erasedAt).toEqual(expect.any(String));
    expect(JSON.stringify(body)).not.toContain(recipientOf(sid));
  });
});

describe('RETENTION_DAYS', () => {
  it('erases nothing if it is not set', async () => {
    const application = await TestApplication.start();
    const { twilioSid } = await seedFallback(application, {
      state: 'skipped',
      reason: 'no_text',
      createdAt: daysAgo(400),
      updatedAt: daysAgo(400),
    });
    await application.app.get(OldFallbacks, { strict: false }).runOnce();
    expect(await findFallback(application, twilioSid)).toMatchObject({
      toNumber: recipientOf(twilioSid),
      erasedAt: null,
    });
    await application.close();
  });
});
