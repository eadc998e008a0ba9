import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { silent } from '../../simulator/callback-plan.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import type { FallbackModuleOptions } from '../../src/fallback/fallback.module-definition.js';
import { SenderLines } from '../../src/fallback/sender-lines.js';
import { SenderPace } from '../../src/fallback/sender-pace.js';
import { StalledFallbacks } from '../../src/fallback/stalled-fallbacks.js';
import { FallbackRetries } from '../../src/operations/fallback-retries.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  attemptsFor,
  expectOneSms,
  findFallback,
  policyFailure,
  recipientOf,
  smsFor,
  untilFallbackEnds,
  untilFallbackIs,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import {
  attempts,
  failAtOnce,
  hold,
  keyOf,
  letGo,
  OF_SENDERS,
  OTHER_SENDER,
  seed,
  SENDER,
  untilInLine,
} from './sender-lines.js';

describe('the pace of a sender', () => {
  const running: TestApplication[] = [];
  let database: DatabaseConnection | undefined;

  afterEach(async () => {
    jest.restoreAllMocks();
    for (const application of running.splice(0)) await application.close();
    await database?.close();
    database = undefined;
  });

  async function start(options: FallbackModuleOptions): Promise<TestApplication> {
    const override = withFallbackOptions(options);
    const application = await TestApplication.start({
      simulator: { callbackPlan: silent },
      override,
      database,
    });
    running.push(application);
    return application;
  }

  function watchStatements(application: TestApplication): string[] {
    const statements: string[] = [];
    jest.spyOn(application.dataSource.logger, 'logQuery').mockImplementation((sql) => statements.push(sql));
    return statements;
  }

  it('costs no statement if it has no rate', async () => {
    const application = await start({});
    const statements = watchStatements(application);
    const sids = await failAtOnce(application, 10);
    for (const sid of sids) await expectOneSms(application, sid);
    expect(statements.filter((sql) => /set state = 'sent'/.test(sql)).length).toBeGreaterThan(0);
    expect(statements.filter((sql) => OF_SENDERS.test(sql))).toEqual([]);
  });

  it('does not delay SMS below its rate, and those that come together share a statement', async () => {
    const application = await start({ smsPerSecond: 100 });
    const statements = watchStatements(application);
    const sids = await failAtOnce(application, 10);
    for (const sid of sids) {
      expect(await expectOneSms(application, sid)).toMatchObject({ pacedBy: null, admittedBy: null });
    }
    expect(application.logs.messages()).not.toContain('SMS fallback postponed');
    expect(statements.some((sql) => OF_SENDERS.test(sql))).toBe(true);
    const pace = application.app.get(SenderPace, { strict: false });
    statements.length = 0;
    const turns = await Promise.all(sids.map(() => pace.request(keyOf(SENDER), null)));
    expect(turns).toEqual(sids.map(() => ({ isAdmitted: true })));
    expect(statements.filter((sql) => OF_SENDERS.test(sql))).toHaveLength(1);
  });

  it('is that of its own rate or of the default, and 0 is no limit', async () => {
    const application = await start({ smsPerSecond: { [SENDER]: 1, [OTHER_SENDER]: 0, default: 1 } });
    const statements = watchStatements(application);
    const [free = ''] = await failAtOnce(application, 1, { companyPhoneNumber: OTHER_SENDER });
    await expectOneSms(application, free);
    expect(statements.filter((sql) => OF_SENDERS.test(sql))).toEqual([]);
    const limited = await failAtOnce(application, 2);
    const byDefault = await failAtOnce(application, 2, { companyPhoneNumber: '+15557770002' });
    for (const sid of [...limited, ...byDefault]) await untilFallbackIs(application, sid, 'sent');
    for (const [one, other] of [limited, byDefault]) {
      const times = attempts(application)
        .filter(({ parameters }) => [one, other].some((sid) => parameters['To'] === recipientOf(sid ?? '')))
        .map(({ time }) => time.getTime());
      expect(times).toHaveLength(2);
      // A second, less the burst.
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(400);
    }
  });

  it('lets those go first whose messages are too old first', async () => {
    // One token at a time.
    const application = await start({ smsPerSecond: 1.9 });
    await hold(application, SENDER);
    const ages = [30, 10, 50, 20, 40];
    const sids = await seed(application, ages.length);
    for (const [index, sid] of sids.entries()) {
      await application.query('update messages set created_at = $2 where twilio_sid = $1', [
        sid,
        minutesAgo(ages[index] ?? 0),
      ]);
      await policyFailure(application, sid);
      await untilInLine(application, sid);
    }
    expect(attempts(application)).toEqual([]);
    await letGo(application, SENDER);
    for (const sid of sids) await untilFallbackIs(application, sid, 'sent');
    const order = attempts(application).map(({ parameters }) =>
      sids.findIndex((sid) => parameters['To'] === recipientOf(sid)),
    );
    expect(order).toEqual([2, 4, 0, 3, 1]);
  });

  it('lets no SMS overtake those that wait, although one could be sent', async () => {
    const application = await start({ smsPerSecond: 50 });
    const lines = application.app.get(SenderLines);
    const rounds = jest.spyOn(lines, 'runOnce').mockResolvedValue();
    await hold(application, SENDER);
    const [first = ''] = await failAtOnce(application, 1);
    await untilInLine(application, first);
    await letGo(application, SENDER);
    const [second = ''] = await failAtOnce(application, 1);
    await untilInLine(application, second);
    expect(attempts(application)).toEqual([]);
    rounds.mockRestore();
    for (const sid of [first, second]) {
      expect(await expectOneSms(application, sid)).toMatchObject({ admittedBy: null, pacedBy: null });
    }
  });

  it('lets them go without the rounds that look for stalled fallbacks', async () => {
    const application = await start({ smsPerSecond: 50, intervalMilliseconds: 0 });
    await hold(application, SENDER);
    const [sid = ''] = await failAtOnce(application, 1);
    await untilInLine(application, sid);
    await letGo(application, SENDER);
    await expectOneSms(application, sid);
  });

  it('skips those that are too late without a request, and without using it up', async () => {
    const options: FallbackModuleOptions = { smsPerSecond: 1.9 };
    const application = await start(options);
    await hold(application, SENDER);
    const [late = '', young = ''] = await failAtOnce(application, 2);
    for (const sid of [late, young]) await untilInLine(application, sid);
    const freeAt = () => application.query('select free_at from sms_senders');
    const before = await freeAt();
    await application.query(
      `update message_events set created_at = now() - interval '5 hours' where message_sid = $1`,
      [late],
    );
    await application.query('update sms_fallbacks set send_before = now() where original_message_sid = $1', [
      late,
    ]);
    expect(await untilFallbackEnds(application, late)).toMatchObject({
      ...{ state: 'skipped', reason: 'too_late', attempts: 0, pacedBy: null, sendBefore: null },
    });
    expect(await freeAt()).toEqual(before);
    expect(await findFallback(application, young)).toMatchObject({ reason: 'waiting_for_sender' });
    expect(attempts(application)).toEqual([]);
  });

  it('skips at once what is too late even as the next SMS of its sender', async () => {
    const application = await start({ smsPerSecond: 1.9, maximumAgeMilliseconds: 30 * 60_000 });
    await hold(application, SENDER);
    const [sid = ''] = await failAtOnce(application, 1);
    expect(await untilFallbackEnds(application, sid)).toMatchObject({ state: 'skipped', reason: 'too_late' });
    expect(attempts(application)).toEqual([]);
  });

  it('does not end a fallback that waits longer than Twilio may be away, if its age is ignored', async () => {
    const options: FallbackModuleOptions = { smsPerSecond: 1.9 };
    const application = await start(options);
    await hold(application, SENDER);
    const [sid = ''] = await failAtOnce(application, 1);
    const { id } = await untilInLine(application, sid);
    const retries = application.app.get(FallbackRetries, { strict: false });
    await retries.retry([id], { by: 'cli:tester@host', ignoreAge: true });
    await until('it to wait without a deadline', async () => {
      const fallback = await untilInLine(application, sid);
      return fallback.ageLimitIgnored && fallback.sendBefore === null && fallback.lockedUntil === null;
    });
    Object.assign(options, { maximumAgeMilliseconds: 1, giveUpAfterMilliseconds: 0 });
    await letGo(application, SENDER);
    expect(await expectOneSms(application, sid)).toMatchObject({ attempts: 1 });
  });

  it('holds a fallback that something else takes up, and sends it once', async () => {
    const application = await start({ smsPerSecond: 1.9 });
    await hold(application, SENDER);
    const [sid = ''] = await failAtOnce(application, 1);
    const { id, updatedAt } = await untilInLine(application, sid);
    await application.app.get(StalledFallbacks).runOnce();
    expect(await findFallback(application, sid)).toMatchObject({ updatedAt });
    await attemptNow(application, id);
    await until('it to ask again', async () => {
      const fallback = await untilInLine(application, sid);
      return fallback.updatedAt > updatedAt && fallback.lockedUntil === null;
    });
    expect(attempts(application)).toEqual([]);
    await letGo(application, SENDER);
    await expectOneSms(application, sid);
    expect(attempts(application)).toHaveLength(1);
  });

  it('goes on after a restart while fallbacks wait for it', async () => {
    database = await createTestDatabase();
    const first = await start({ smsPerSecond: 20 });
    await hold(first, SENDER);
    const sids = await failAtOnce(first, 5);
    for (const sid of sids) await untilInLine(first, sid);
    await first.close();
    running.length = 0;
    const second = await start({ smsPerSecond: 20 });
    await letGo(second, SENDER);
    for (const sid of sids) await expectOneSms(second, sid);
  });

  it('is over for those that wait if the rate is removed', async () => {
    database = await createTestDatabase();
    const first = await start({ smsPerSecond: 0.01 });
    const sids = await failAtOnce(first, 4);
    await until('all but one to wait', async () => {
      const rows = await first.query('select from sms_fallbacks where paced_by is not null');
      return rows.length === 3;
    });
    await first.close();
    running.length = 0;
    const second = await start({});
    for (const sid of sids) await untilFallbackIs(second, sid, 'sent');
    expect(attempts(second)).toHaveLength(3);
  });

  it('holds an SMS in doubt too, which is looked for meanwhile and never sent twice', async () => {
    const options: FallbackModuleOptions = { smsPerSecond: 50, settlingMilliseconds: 600_000 };
    const application = await start(options);
    application.twilio.listDelayMilliseconds = Infinity;
    application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
    const [sid = ''] = await failAtOnce(application, 1);
    const { id } = await untilFallbackIs(application, sid, 'uncertain');
    await hold(application, SENDER);
    options.settlingMilliseconds = 0;
    await attemptNow(application, id);
    expect(await untilInLine(application, sid)).toMatchObject({
      ...{ state: 'uncertain', unansweredAttempts: 1, pacedBy: keyOf(SENDER) },
    });
    application.twilio.listDelayMilliseconds = 0;
    const fallback = await untilFallbackIs(application, sid, 'sent');
    expect(fallback).toMatchObject({ attempts: 1, pacedBy: null, sendBefore: null });
    expect(smsFor(application, sid).map((sms) => sms.sid)).toEqual([fallback.smsMessageSid]);
    expect(attemptsFor(application, sid)).toHaveLength(1);
  });

  it('lets an SMS in doubt be sent again when its turn comes', async () => {
    const options: FallbackModuleOptions = { smsPerSecond: 50, settlingMilliseconds: 600_000 };
    const application = await start(options);
    application.twilio.failNext({ on: 'create', fault: { type: 'resetBeforeAccepting' } });
    const [sid = ''] = await failAtOnce(application, 1);
    const { id } = await untilFallbackIs(application, sid, 'uncertain');
    await hold(application, SENDER);
    options.settlingMilliseconds = 0;
    await attemptNow(application, id);
    await untilInLine(application, sid);
    await letGo(application, SENDER);
    expect(await untilFallbackIs(application, sid, 'sent')).toMatchObject({ attempts: 2 });
    expect(smsFor(application, sid)).toHaveLength(1);
  });
});

describeOnServer('the pace of a sender with two replicas', () => {
  const SMS = 150;
  const PER_SECOND = 10;

  /** Sends SMS through both replicas. @returns how many they have sent per second. */
  async function measure(replicas: readonly [TestApplication, TestApplication]): Promise<number> {
    for (const { twilio } of replicas) twilio.forget();
    const sids = await Promise.all(replicas.map((replica) => failAtOnce(replica, SMS / 2)));
    for (const sid of sids.flat()) await untilFallbackIs(replicas[0], sid, 'sent');
    for (const replica of replicas) expect(attempts(replica).length).toBeGreaterThan(0);
    const times = attempts(...replicas).map(({ time }) => time.getTime());
    expect(times).toHaveLength(SMS);
    return (1_000 * SMS) / ((times.at(-1) ?? 0) - (times[0] ?? 0));
  }

  it('is held within ten percent', async () => {
    const database = await createTestDatabase();
    const override = withFallbackOptions({ smsPerSecond: PER_SECOND });
    const simulator = { callbackPlan: silent };
    const replicas = [
      await TestApplication.start({ database, override, simulator }),
      await TestApplication.start({ database, override, simulator }),
    ] as const;
    try {
      let perSecond = 0;
      // A busy machine may hold the replicas up. It never makes them faster.
      for (let run = 0; run < 3 && perSecond < 0.9 * PER_SECOND; run += 1) {
        perSecond = await measure(replicas);
        expect(perSecond).toBeLessThan(1.1 * PER_SECOND);
      }
      expect(perSecond).toBeGreaterThan(0.9 * PER_SECOND);
    } finally {
      for (const replica of replicas) await replica.close();
      await database.close();
    }
  });
});
