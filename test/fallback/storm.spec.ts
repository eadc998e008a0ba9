import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { delivered } from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { FallbackStore } from '../../src/fallback/fallback.store.js';
import { SmsSender } from '../../src/fallback/sms-sender.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  findFallback,
  policyFailure,
  smsFor,
  untilAllIsDone,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

const FAILURES = 30;

/** Statements of the steps, by a text that only they have. */
const STEPS = {
  claim: /insert into sms_fallbacks/,
  intent: /set state = 'sending'/,
  record: /set state = 'sent'/,
} as const;

/** Statements of those that wait. */
const LOOKS = { lock: /with due as/, wait: /with change as/ } as const;

const EVENT = {
  id: randomUUID(),
  occurredAt: new Date().toISOString(),
  messageEventId: randomUUID(),
  accountSid: demoAccount.sid,
  messageStatus: 'undelivered',
  errorCode: '63049',
  toNumber: '+15550001234',
  userId: null,
  parentUserId: null,
  callbackUrl: null,
};

const SMS = {
  ...{
    toNumber: '+15550001234',
    fromNumber: '+15550009999',
    messagingServiceSid: null,
    conversationId: null,
  },
  ...{ body: 'Hello', truncated: false, encoding: 'GSM-7', segments: 1, notCarriedOver: [] },
  originalSentAt: new Date(),
};

describe('policy failures that come at the same time', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
    application.twilio.callbackPlan = delivered;
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  afterAll(() => application.close());

  async function fail(messageSids: readonly string[]): Promise<void> {
    await Promise.all(messageSids.map((sid) => policyFailure(application, sid)));
    for (const sid of messageSids) await untilAllIsDone(application, sid);
  }

  async function seed(count: number): Promise<string[]> {
    const seeded = [];
    for (let index = 0; index < count; index += 1) {
      seeded.push((await seedMessage(application.dataSource)).twilioSid);
    }
    return seeded;
  }

  it('share the statements of each step, and each has its SMS', async () => {
    const sids = await seed(FAILURES);
    const statements: string[] = [];
    jest.spyOn(application.dataSource.logger, 'logQuery').mockImplementation((sql) => statements.push(sql));
    await fail(sids);
    for (const sid of sids) {
      expect(smsFor(application, sid)).toHaveLength(1);
      expect(await findFallback(application, sid)).toMatchObject({ state: 'sent', attempts: 1 });
    }
    for (const step of Object.values(STEPS)) {
      const count = statements.filter((sql) => step.test(sql)).length;
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThan(FAILURES);
    }
  });

  it('are handed to Twilio by as many requests at once as allowed', async () => {
    const limited = await TestApplication.start({ override: withFallbackOptions({ smsAtOnce: 2 }) });
    try {
      const sender = limited.app.get(SmsSender, { strict: false });
      const send = sender.send.bind(sender);
      let [now, most] = [0, 0];
      let open = (): void => undefined;
      const gate = new Promise<void>((resolve) => (open = resolve));
      jest.spyOn(sender, 'send').mockImplementation(async (sms) => {
        now += 1;
        most = Math.max(most, now);
        await gate;
        const answer = await send(sms);
        now -= 1;
        return answer;
      });
      const sids: string[] = [];
      for (let index = 0; index < 6; index += 1) sids.push((await seedMessage(limited.dataSource)).twilioSid);
      await Promise.all(sids.map((sid) => policyFailure(limited, sid)));
      await until('two to be sent, and the others to be claimed', async () => {
        const claimed = await Promise.all(sids.map((sid) => findFallback(limited, sid)));
        return now === 2 && claimed.every((fallback) => fallback !== null);
      });
      open();
      for (const sid of sids) await untilAllIsDone(limited, sid);
      expect(most).toBe(2);
      for (const sid of sids) expect(smsFor(limited, sid)).toHaveLength(1);
    } finally {
      await limited.close();
    }
  });

  it('share the statements of looks for their messages too, and one that cannot wait hinders no other', async () => {
    const sids = Array.from({ length: FAILURES }, randomMessageSid);
    const [odd = '', ...others] = sids;
    await application.query(
      `alter table sms_fallbacks add constraint odd
         check (reason is distinct from 'waiting_for_original_message' or original_message_sid <> '${odd}') not valid`,
    );
    const statements: string[] = [];
    jest.spyOn(application.dataSource.logger, 'logQuery').mockImplementation((sql) => statements.push(sql));
    const looks = () => statements.filter((sql) => LOOKS.lock.test(sql)).length;
    await Promise.all(sids.map((sid) => policyFailure(application, sid)));
    for (const sid of others) {
      await until(`${sid} to wait`, async () => {
        return (await findFallback(application, sid))?.reason === 'waiting_for_original_message';
      });
    }
    await until('a second look', () => looks() > 0);
    expect((await findFallback(application, odd))?.reason).toBeNull();
    for (const sid of others) await seedMessage(application.dataSource, { twilioSid: sid });
    for (const sid of others) await attemptNow(application, (await findFallback(application, sid))?.id ?? '');
    for (const sid of others) await until('the SMS', () => smsFor(application, sid).length === 1);
    await application.query('alter table sms_fallbacks drop constraint odd');
    const waits = statements.filter((sql) => LOOKS.wait.test(sql)).length;
    expect(waits).toBeGreaterThan(0);
    // Each waits at least once, and the odd one is tried by itself.
    expect(waits).toBeLessThan(FAILURES);
  });

  it.each([
    ['claimed', ''],
    ['begun', `state <> 'sending' or`],
    ['recorded', `state <> 'sent' or`],
  ])('are independent: one that cannot be %s keeps no other from its SMS', async (_, unless) => {
    const [odd = '', ...others] = await seed(10);
    await application.query(
      `alter table sms_fallbacks add constraint odd check (${unless} original_message_sid <> '${odd}') not valid`,
    );
    await Promise.all([odd, ...others].map((sid) => policyFailure(application, sid)));
    await until('the others to be sent', async () => {
      const fallbacks = await Promise.all(others.map((sid) => findFallback(application, sid)));
      return fallbacks.every((fallback) => fallback?.state === 'sent');
    });
    expect((await findFallback(application, odd))?.state).not.toBe('sent');
    await application.query('alter table sms_fallbacks drop constraint odd');
    await until('the odd one to be sent', async () => {
      const fallback = await findFallback(application, odd);
      if (fallback === null || fallback.state === 'sent') return fallback !== null;
      // As if the worker's lock had run out.
      await application.query('update sms_fallbacks set locked_until = now() where id = $1', [fallback.id]);
      await attemptNow(application, fallback.id);
      return false;
    });
    for (const sid of [odd, ...others]) expect(smsFor(application, sid)).toHaveLength(1);
  });

  it('never send one SMS twice, although two attempts of it begin together', async () => {
    const [sid = ''] = await seed(1);
    const store = application.app.get(FallbackStore, { strict: false });
    const claimed = await store.claim({ ...EVENT, messageSid: sid }, 0);
    if (typeof claimed === 'string') throw new Error('It was claimed before');
    const lost = { ...claimed, lock: '2026-01-01 00:00:00+00' };
    const attempts = await Promise.allSettled([
      store.beginSending(lost, SMS),
      store.beginSending(claimed, SMS),
      store.beginSending(lost, SMS),
    ]);
    expect(attempts.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    const records = await Promise.all(
      ['SMfirst', 'SMsecond'].map((smsMessageSid) =>
        store.recordSent({
          id: claimed.id,
          originalMessageSid: sid,
          smsMessageSid,
          body: 'Hello',
          conversationId: null,
        }),
      ),
    );
    expect(records.filter((record) => record !== null)).toHaveLength(1);
  });
});
