import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { delivered, silent } from '../../simulator/callback-plan.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import {
  attemptsFor,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  untilFallbackIs,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { seedFallback } from './ended-fallback.js';
import { runCommand } from './run-command.js';

const SETTLING_MILLISECONDS = 500;

/** An SMS may have been sent, so a retry first settles that. */
describe('npm run fallbacks -- retry, of an SMS that Twilio never answered', () => {
  let database: DatabaseConnection;
  let application: TestApplication;
  let isListAway = false;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({
      database,
      simulator: { callbackPlan: silent },
      override: withFallbackOptions({
        settlingMilliseconds: SETTLING_MILLISECONDS,
        giveUpAfterMilliseconds: 3_000,
      }),
    });
    const fault = { type: 'error', status: 500, code: 20500 } as const;
    application.twilio.failNext({ on: 'list', times: Infinity, when: () => isListAway, fault });
  });

  afterEach(() => {
    isListAway = false;
    application.twilio.callbackPlan = silent;
    application.twilio.listDelayMilliseconds = 0;
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  const retry = (name: string) => runCommand(database, 'fallbacks', ['retry', name]);

  /** Twilio accepts the SMS, and neither answers nor lists it until the fallback has failed. */
  async function failWithoutAnswer(): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    isListAway = true;
    application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
    await policyFailure(application, twilioSid);
    const failed = await untilAllIsDone(application, twilioSid);
    expect(failed).toMatchObject({ state: 'failed', reason: 'no_answer_from_twilio', attempts: 1 });
    isListAway = false;
    return twilioSid;
  }

  it('adopts an SMS that Twilio had accepted, and sends none', async () => {
    const twilioSid = await failWithoutAnswer();
    const run = await retry(twilioSid);
    expect(run.output).toContain('an SMS may have been sent: this is checked first');
    const sent = await untilAllIsDone(application, twilioSid);
    expect(sent).toMatchObject({ state: 'sent', attempts: 1, reason: null });
    expect(smsFor(application, twilioSid).map(({ sid }) => sid)).toEqual([sent.smsMessageSid]);
    expect(attemptsFor(application, twilioSid)).toHaveLength(1);
  });

  it('adopts the SMS if its callback comes during the retry', async () => {
    const twilioSid = await failWithoutAnswer();
    application.twilio.listDelayMilliseconds = Infinity;
    const [sms] = smsFor(application, twilioSid);
    const callback = application.twilio.sendCallback({
      url: String(sms?.parameters['StatusCallback']),
      parameters: smsStatusParameters({
        messageSid: sms?.sid ?? '',
        status: 'delivered',
        to: recipientOf(twilioSid),
        from: sms?.from ?? '',
      }),
    });
    const [run] = await Promise.all([retry(twilioSid), callback]);
    expect(run.exitCode).toBe(0);
    const sent = await untilAllIsDone(application, twilioSid);
    expect(sent).toMatchObject({ state: 'sent', attempts: 1, smsMessageSid: sms?.sid });
    expect(attemptsFor(application, twilioSid)).toHaveLength(1);
  });

  it('adopts an SMS that a callback has reported meanwhile, whatever the reason of the failure', async () => {
    const { twilioSid, fallbackId, companyPhoneNumber, body } = await seedFallback(application, {
      state: 'failed',
      reason: 'rejected_by_twilio',
      attempts: 2,
    });
    const sms = application.twilio.addMessage({
      to: recipientOf(twilioSid),
      from: companyPhoneNumber ?? '',
      body: body ?? '',
      dateCreated: minutesAgo(590),
    });
    await application.twilio.sendCallback({
      url: `https://hooks.example.com/api/webhooks/twilio/message-status?sms_fallback_id=${fallbackId}`,
      parameters: smsStatusParameters({
        messageSid: sms.sid,
        status: 'sent',
        to: sms.to,
        from: sms.from ?? '',
      }),
    });
    await retry(twilioSid);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({
      state: 'sent',
      smsMessageSid: sms.sid,
    });
    expect(attemptsFor(application, twilioSid)).toEqual([]);
  });

  it('adopts the SMS of an earlier attempt that Twilio lists only later', async () => {
    const { twilioSid, companyPhoneNumber, body } = await seedFallback(application, {
      state: 'failed',
      reason: 'no_answer_from_twilio',
      attempts: 5,
      unansweredAttempts: 5,
      createdAt: minutesAgo(600),
      attemptStartedAt: minutesAgo(580),
    });
    const { sid } = application.twilio.addMessage({
      to: recipientOf(twilioSid),
      from: companyPhoneNumber ?? '',
      body: body ?? '',
      dateCreated: minutesAgo(599),
    });
    await retry(twilioSid);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ state: 'sent', smsMessageSid: sid });
    expect(attemptsFor(application, twilioSid)).toEqual([]);
  });

  it('sends an SMS if Twilio accepted none, after a new settling time, even with no attempts left', async () => {
    const { twilioSid } = await seedFallback(application, {
      state: 'failed',
      reason: 'no_answer_from_twilio',
      attempts: 5,
      unansweredAttempts: 5,
    });
    application.twilio.callbackPlan = delivered;
    await retry(twilioSid);
    const { retriedAt, ...sent } = await untilAllIsDone(application, twilioSid);
    expect(sent).toMatchObject({ state: 'sent', attempts: 6 });
    const [attempt, ...more] = attemptsFor(application, twilioSid);
    expect(more).toEqual([]);
    expect((attempt?.time.getTime() ?? 0) - (retriedAt?.getTime() ?? 0)).toBeGreaterThanOrEqual(
      SETTLING_MILLISECONDS,
    );
    expect(smsFor(application, twilioSid).map(({ sid }) => sid)).toEqual([sent.smsMessageSid]);
  });

  it('looks for the SMS at once if it is already being settled', async () => {
    const { twilioSid, companyPhoneNumber, body } = await seedFallback(application, {
      state: 'uncertain',
      reason: 'no_answer_from_twilio',
      attempts: 1,
      attemptStartedAt: minutesAgo(0),
      nextAttemptAt: minutesAgo(-60),
    });
    const { sid } = application.twilio.addMessage({
      to: recipientOf(twilioSid),
      from: companyPhoneNumber ?? '',
      body: body ?? '',
    });
    expect((await retry(twilioSid)).output).toContain('its next step is taken now');
    expect(await untilFallbackIs(application, twilioSid, 'sent')).toMatchObject({
      smsMessageSid: sid,
      retriedAt: null,
    });
  });
});
