import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { delivered, silent } from '../../simulator/callback-plan.js';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import type { FallbackModuleOptions } from '../../src/fallback/fallback.module-definition.js';
import { SmsFinder } from '../../src/fallback/sms-finder.js';
import { TestApplication } from '../support/application.js';
import {
  attemptNow,
  attemptsFor,
  findFallback,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  untilFallbackIs,
  whatsappStatus,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';

/** An asynchronous standby that is promoted lacks the primary's last transactions. */
describe('a database that has lost the SMS of a fallback', () => {
  let application: TestApplication;
  const options: FallbackModuleOptions = {};

  beforeAll(async () => {
    application = await TestApplication.start({
      simulator: { callbackPlan: silent },
      override: withFallbackOptions(options),
    });
  });

  afterEach(() => {
    application.twilio.callbackPlan = silent;
    delete options.lateFailureMilliseconds;
    delete options.holdMilliseconds;
  });

  afterAll(() => application.close());

  /** An old message, in the part of the log that the standby has. */
  async function sentMinutesAgo(minutes: number): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    await whatsappStatus(application, twilioSid, { status: 'sent' });
    await application.query('update message_events set created_at = $2 where message_sid = $1', [
      twilioSid,
      minutesAgo(minutes),
    ]);
    return twilioSid;
  }

  /** Deletes what the lost transactions wrote: everything since the failure. */
  async function forget(messageSid: string): Promise<void> {
    const sids = [messageSid, ...smsFor(application, messageSid).map(({ sid }) => sid)];
    await application.query(
      'update message_events set fallback_sms_message_id = null where message_sid = $1',
      [messageSid],
    );
    await application.query('delete from sms_fallbacks where original_message_sid = $1', [messageSid]);
    await application.query(
      `delete from message_events where message_sid = any ($1) and message_status <> 'sent'`,
      [sids],
    );
    await application.query(`delete from messages where twilio_sid = any ($1) and channel = 'sms'`, [sids]);
  }

  function looksFor(messageSid: string): number {
    return application.twilio.requests.filter(
      ({ method, parameters }) => method === 'GET' && parameters['To'] === recipientOf(messageSid),
    ).length;
  }

  async function fallBack(messageSid: string) {
    await policyFailure(application, messageSid);
    return untilAllIsDone(application, messageSid);
  }

  it('finds it in Twilio’s list before it sends a second one', async () => {
    const sid = await sentMinutesAgo(5);
    const { smsMessageSid } = await fallBack(sid);
    await forget(sid);
    expect(await fallBack(sid)).toMatchObject({ state: 'sent', smsMessageSid, attempts: 0 });
    expect(attemptsFor(application, sid)).toHaveLength(1);
    const rows = await application.query(`select channel from messages where twilio_sid = $1`, [
      smsMessageSid,
    ]);
    expect(rows).toEqual([{ channel: 'sms' }]);
  });

  it('finds it although its callbacks name a missing fallback', async () => {
    const sid = await sentMinutesAgo(5);
    const { smsMessageSid } = await fallBack(sid);
    await forget(sid);
    const [sms] = smsFor(application, sid);
    const { statusCallback: url = '', to = '', from = '' } = sms ?? {};
    const parameters = smsStatusParameters({
      messageSid: smsMessageSid ?? '',
      status: 'delivered',
      to,
      from,
    });
    expect(await application.twilio.sendCallback({ url, parameters })).toMatchObject({ status: 204 });
    expect(await fallBack(sid)).toMatchObject({ state: 'sent', smsMessageSid });
    expect(attemptsFor(application, sid)).toHaveLength(1);
  });

  it('sends nothing while Twilio’s list is unavailable', async () => {
    const sid = await sentMinutesAgo(5);
    const { smsMessageSid } = await fallBack(sid);
    await forget(sid);
    let isAway = true;
    const fault = { type: 'error', status: 500, code: 20500 } as const;
    application.twilio.failNext({ on: 'list', times: Infinity, when: () => isAway, fault });
    await policyFailure(application, sid);
    await until('a look in vain', async () => {
      const fallback = await findFallback(application, sid);
      return fallback?.reason === 'twilio_unavailable' && fallback.lockedUntil === null;
    });
    isAway = false;
    expect(await untilAllIsDone(application, sid)).toMatchObject({ state: 'sent', smsMessageSid });
    expect(attemptsFor(application, sid)).toHaveLength(1);
  });

  it('sends what was never sent, even if the person has another SMS', async () => {
    const first = await sentMinutesAgo(5);
    const sid = await sentMinutesAgo(5);
    application.twilio.addMessage({ to: recipientOf(sid), from: '+15550009999', body: 'Another text' });
    await fallBack(first);
    application.twilio.callbackPlan = delivered;
    expect(await fallBack(sid)).toMatchObject({ state: 'sent', attempts: 1 });
    expect(looksFor(sid)).toBeGreaterThan(0);
    expect(attemptsFor(application, sid)).toHaveLength(1);
  });

  it('sends its own SMS if another fallback takes the one that was found, just before it is recorded', async () => {
    const [taker, sid] = [await sentMinutesAgo(5), await sentMinutesAgo(5)];
    const alike = { to: recipientOf(sid), from: '+15550009999', body: 'The same text' };
    await application.query(
      `update messages set body = $2, conversation_id = null where twilio_sid = any ($1)`,
      [[taker, sid], alike.body],
    );
    const lost = application.twilio.addMessage({ ...alike, dateSent: minutesAgo(4) });
    const finder = application.app.get(SmsFinder, { strict: false });
    const find = finder.find.bind(finder);
    finder.find = async (fallback, ...rest) => {
      const found = await find(fallback, ...rest);
      if (fallback.originalMessageSid === sid) {
        finder.find = find;
        await policyFailure(application, taker, { to: `whatsapp:${alike.to}` });
        await until('the SMS to be taken', async () => {
          return (await findFallback(application, taker))?.smsMessageSid === lost.sid;
        });
      }
      return found;
    };
    await policyFailure(application, sid, { to: `whatsapp:${alike.to}` });
    const fallback = await untilAllIsDone(application, sid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1 });
    expect(fallback.smsMessageSid).not.toBe(lost.sid);
  });

  it('does not ask if it has known the failure all the time, however long the SMS waited', async () => {
    Object.assign(options, { lateFailureMilliseconds: 5_000, holdMilliseconds: 6_000 });
    const sid = await sentMinutesAgo(0);
    await policyFailure(application, sid);
    expect(await untilFallbackIs(application, sid, 'sent')).toMatchObject({ attempts: 1 });
    expect(looksFor(sid)).toBe(0);
  });

  it('asks if the server was started or promoted since the failure became known', async () => {
    Object.assign(options, { holdMilliseconds: 600_000 });
    const sid = await sentMinutesAgo(0);
    await policyFailure(application, sid);
    const { id } = await untilFallbackIs(application, sid, 'claimed');
    await application.query(
      `update message_events set created_at = pg_postmaster_start_time() - interval '1 minute' where message_sid = $1`,
      [sid],
    );
    await attemptNow(application, id);
    expect(await untilAllIsDone(application, sid)).toMatchObject({ state: 'sent', attempts: 1 });
    expect(looksFor(sid)).toBe(1);
  });

  it('does not ask about a failure that is known at once', async () => {
    const sid = await sentMinutesAgo(0);
    expect(await fallBack(sid)).toMatchObject({ state: 'sent', attempts: 1 });
    expect(looksFor(sid)).toBe(0);
  });
});
