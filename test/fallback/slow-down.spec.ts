import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { delivered, neverSent, sequence, silent } from '../../simulator/callback-plan.js';
import type { Fault } from '../../simulator/faults.js';
import type { FallbackModuleOptions } from '../../src/fallback/fallback.module-definition.js';
import { listSenderPaces, SenderPace } from '../../src/fallback/sender-pace.js';
import { TestApplication } from '../support/application.js';
import {
  attemptsFor,
  expectOneSms,
  findFallback,
  smsFor,
  untilAllIsDone,
  untilFallbackEnds,
  untilFallbackIs,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { until } from '../support/until.js';
import {
  attempts,
  failAtOnce,
  hold,
  keyOf,
  letGo,
  OF_SENDERS,
  OTHER_SENDER,
  SENDER,
  slowdowns,
  untilInLine,
} from './sender-lines.js';

const REFUSED = { type: 'error', status: 429, code: 20429 } as const;

interface Sender {
  key: string;
  slowed_by: string | null;
  slowed_from: number;
  slowed_to: number;
}

describe('a sender that Twilio refuses for sending too fast', () => {
  let application: TestApplication;
  const options: FallbackModuleOptions = {};

  beforeEach(async () => {
    for (const name of Object.keys(options)) Reflect.deleteProperty(options, name);
    Object.assign(options, { resendDelayMilliseconds: 0 });
    application = await TestApplication.start({
      simulator: { callbackPlan: silent },
      override: withFallbackOptions(options),
    });
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await application.close();
  });

  function senders(): Promise<Sender[]> {
    return application.query<Sender>('select key, slowed_by, slowed_from, slowed_to from sms_senders');
  }

  it('is slowed down once for many answers of the same moment, and what was refused waits in its line', async () => {
    let first = Infinity;
    // Those that begin a second after a slowdown count again.
    const when = ({ time }: { time: Date }) =>
      time.getTime() < (first = Math.min(first, time.getTime())) + 900;
    application.twilio.failNext({ on: 'create', times: Infinity, when, fault: REFUSED });
    const sids = await failAtOnce(application, 10);
    for (const sid of sids) {
      const fallback = await expectOneSms(application, sid);
      expect(attemptsFor(application, sid)).toHaveLength(fallback.attempts);
    }
    const refused = attempts(application).filter((attempt) => when(attempt)).length;
    expect(refused).toBeGreaterThan(0);
    expect(attempts(application)).toHaveLength(10 + refused);
    expect(slowdowns(application)).toBe(1);
    const [sender, ...others] = await senders();
    expect(others).toEqual([]);
    expect(sender).toMatchObject({ key: keyOf(SENDER), slowed_by: '20429' });
    expect(sender?.slowed_from).toBeLessThanOrEqual(10);
    expect(sender?.slowed_to).toBe(Math.max(1, (sender?.slowed_from ?? 0) / 2));
  });

  it('is halved once for all that was begun before the slowdown was known', async () => {
    const pace = application.app.get(SenderPace, { strict: false });
    const key = keyOf(SENDER);
    const refuse = (begunMillisecondsAgo: number, retryAfterSeconds: number | null = null) =>
      pace.slow({ key, code: '20429', begunMillisecondsAgo, retryAfterSeconds, isReport: false });
    for (let sent = 0; sent < 40; sent += 1) pace.count(key);
    await Promise.all(Array.from({ length: 10 }, () => refuse(100)));
    await refuse(0);
    expect(slowdowns(application)).toBe(1);
    // Two parts of a second may have been counted apart.
    const slower = (await senders())[0]?.slowed_to ?? 0;
    expect(slower).toBeGreaterThanOrEqual(10);
    expect(slower).toBeLessThanOrEqual(20);
    await application.query(`update sms_senders set slowed_at = now() - interval '5 seconds'`);
    await refuse(4_500);
    expect(slowdowns(application)).toBe(1);
    expect(await refuse(3_500, 60)).toBeGreaterThan(59_000);
    expect(slowdowns(application)).toBe(2);
    const slowest = (await senders())[0]?.slowed_to ?? 0;
    // It had recovered a little.
    expect(slowest).toBeGreaterThan(slower / 2);
    expect(slowest).toBeLessThan(slower);
  });

  it('is not stopped by reports that come whatever its rate is', async () => {
    const pace = application.app.get(SenderPace, { strict: false });
    const key = keyOf(SENDER);
    for (let sent = 0; sent < 60; sent += 1) pace.count(key);
    for (let minutes = 0; minutes < 2; minutes += 1) {
      for (let reports = 0; reports < 15; reports += 1) {
        await pace.slow({
          ...{ key, code: '30001', begunMillisecondsAgo: 0, retryAfterSeconds: null, isReport: true },
        });
        await application.query(`update sms_senders set slowed_at = slowed_at - interval '4 seconds'`);
      }
      const [sender] = await listSenderPaces(application.dataSource, undefined);
      const rate = sender?.rate ?? 0;
      // The busiest second is one of up to two in which they were counted.
      expect(rate).toBeGreaterThan(30 / 7);
      expect(rate).toBeLessThan(60);
    }
  });

  it('sends no faster than at the slower rate', async () => {
    application.twilio.failNext({ on: 'create', fault: REFUSED });
    const [refused = ''] = await failAtOnce(application, 1);
    await expectOneSms(application, refused);
    await hold(application, SENDER);
    const sids = await failAtOnce(application, 4);
    for (const sid of sids) await untilInLine(application, sid);
    await letGo(application, SENDER);
    for (const sid of sids) await untilFallbackIs(application, sid, 'sent');
    const times = attempts(application).map(({ time }) => time.getTime());
    expect(times).toHaveLength(6);
    // One per second, which recovers by a sixtieth each second; half a second may be sent in advance.
    expect((times[5] ?? 0) - (times[2] ?? 0)).toBeGreaterThan(2_000);
  });

  it.each([
    { status: 429, code: 20429 },
    { status: 429, code: 21611 },
    { status: 400, code: 21611 },
    { status: 400, code: 30001 },
  ])('is slowed down by HTTP $status and code $code', async (error) => {
    let isRefusing = true;
    const fault: Fault = { type: 'error', ...error };
    application.twilio.failNext({ on: 'create', times: Infinity, when: () => isRefusing, fault });
    const [sid = ''] = await failAtOnce(application, 1);
    expect(await untilInLine(application, sid)).toMatchObject({
      state: 'claimed',
      lastErrorCode: String(error.code),
      pacedBy: keyOf(SENDER),
    });
    isRefusing = false;
    expect((await expectOneSms(application, sid)).attempts).toBeGreaterThanOrEqual(2);
    expect(await senders()).toMatchObject([{ slowed_by: String(error.code) }]);
  });

  it('is not slowed down by another refusal', async () => {
    application.twilio.failNext({ on: 'create', fault: { type: 'error', status: 400, code: 21610 } });
    application.twilio.failNext({ on: 'create', fault: { type: 'error', status: 401, code: 20003 } });
    const sids = await failAtOnce(application, 2);
    for (const sid of sids) await untilFallbackEnds(application, sid);
    expect(attempts(application).length).toBeGreaterThan(2);
    expect(await senders()).toEqual([]);
  });

  it('is slowed down by the report that an accepted SMS met a full queue', async () => {
    application.twilio.callbackPlan = sequence(neverSent(30001), delivered);
    const [sid = ''] = await failAtOnce(application, 1);
    await until('the second SMS', async () => {
      const fallback = await findFallback(application, sid);
      return fallback?.state === 'sent' && fallback.attempts === 2;
    });
    await untilAllIsDone(application, sid);
    expect(smsFor(application, sid)).toHaveLength(2);
    expect(await senders()).toMatchObject([{ key: keyOf(SENDER), slowed_by: '30001', slowed_to: 1 }]);
  });

  it('sends nothing until Retry-After has passed, while other senders go on', async () => {
    application.twilio.failNext({ on: 'create', fault: { ...REFUSED, retryAfterSeconds: 3 } });
    const [refused = ''] = await failAtOnce(application, 1);
    await untilInLine(application, refused);
    const [next = ''] = await failAtOnce(application, 1);
    const [other = ''] = await failAtOnce(application, 1, { companyPhoneNumber: OTHER_SENDER });
    await expectOneSms(application, other);
    await untilInLine(application, next);
    await expectOneSms(application, refused);
    await expectOneSms(application, next);
    const [begin, ofOther, ...later] = attempts(application).map(({ time }) => time.getTime());
    expect(attempts(application)[1]?.parameters['From']).toBe(OTHER_SENDER);
    expect((ofOther ?? 0) - (begin ?? 0)).toBeLessThan(3_000);
    expect(later).toHaveLength(2);
    for (const time of later) expect(time - (begin ?? 0)).toBeGreaterThanOrEqual(3_000);
    expect(await senders()).toHaveLength(1);
  });

  it('ends what is too late before Retry-After has passed, with the error of Twilio', async () => {
    options.maximumAgeMilliseconds = 60 * 60_000;
    application.twilio.failNext({ on: 'create', fault: { ...REFUSED, retryAfterSeconds: 3_600 } });
    const [sid = ''] = await failAtOnce(application, 1);
    expect(await untilAllIsDone(application, sid)).toMatchObject({
      ...{ state: 'skipped', reason: 'too_late', lastErrorCode: '20429', attempts: 1 },
    });
  });

  it.each([
    ['right after it was halved', 0, undefined, 30],
    ['after half a minute', 30, undefined, 60],
    ['shortly before it is forgotten', 89, undefined, 119],
    ['at twice the refused rate: it is forgotten', 91, undefined, null],
    ['by its configured rate, which is higher', 30, 90, 75],
    ['up to its configured rate', 61, 90, 90],
  ])('recovers with time: %s', async (_, secondsAgo, smsPerSecond, expected) => {
    await application.query(
      `insert into sms_senders (key, slowed_at, slowed_by, slowed_from, slowed_to)
       values ($1, now() - $2 * interval '1 second', '20429', 60, 30)`,
      [keyOf(SENDER), secondsAgo],
    );
    const [pace] = await listSenderPaces(application.dataSource, smsPerSecond);
    if (expected === null) expect(pace).toBeUndefined();
    else expect(pace?.rate).toBeCloseTo(expected, 0);
  });

  it('needs no statement for its SMS once it has recovered', async () => {
    application.twilio.failNext({ on: 'create', fault: REFUSED });
    const [refused = ''] = await failAtOnce(application, 1);
    await expectOneSms(application, refused);
    const statements: string[] = [];
    jest.spyOn(application.dataSource.logger, 'logQuery').mockImplementation((sql) => statements.push(sql));
    const asksForItsTurn = async () => {
      statements.length = 0;
      const [sid = ''] = await failAtOnce(application, 1);
      await untilFallbackIs(application, sid, 'sent');
      return statements.some((sql) => OF_SENDERS.test(sql));
    };
    expect(await asksForItsTurn()).toBe(true);
    await application.query(`update sms_senders set slowed_at = slowed_at - interval '10 minutes'`);
    await until('an SMS that does not ask', async () => !(await asksForItsTurn()));
  });
});
