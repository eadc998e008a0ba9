import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import {
  attemptsFor,
  expectOneSms,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  untilFallbackEnds,
} from '../support/fallbacks.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { seedFallback } from './ended-fallback.js';
import { REQUESTER, runCommand } from './run-command.js';

describe('npm run fallbacks -- retry <name>', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({ database });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  const retry = (...args: string[]) => runCommand(database, 'fallbacks', ['retry', ...args]);

  it('sends the SMS of a failed fallback once, from the current sender', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const fault = { type: 'error', status: 400, code: 21606 } as const;
    application.twilio.failNext({ on: 'create', times: 2, fault });
    await policyFailure(application, twilioSid);
    const failed = await untilAllIsDone(application, twilioSid);
    expect(failed).toMatchObject({ state: 'failed', lastErrorCode: '21606', attempts: 2 });
    await application.query(
      `update companies set phone_number = '+15550002222' where id in (
         select company_id from conversations join messages on conversation_id = conversations.id where twilio_sid = $1)`,
      [twilioSid],
    );
    const run = await retry(failed.id);
    expect(run).toMatchObject({ exitCode: 0, complaints: '', questions: [] });
    expect(run.output).toContain(`${twilioSid}  claimed again`);
    expect(run.output).toContain('1 fallback to be tried again. The running service does it');
    const sent = await expectOneSms(application, twilioSid);
    expect(sent).toMatchObject({ id: failed.id, attempts: 3 });
    expect(sent.retriedAt?.getTime()).toBeGreaterThanOrEqual(failed.updatedAt.getTime());
    expect(smsFor(application, twilioSid)).toMatchObject([{ from: '+15550002222' }]);
  });

  it('sends nothing if the SMS was sent, and says so', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    const sent = await untilAllIsDone(application, twilioSid);
    for (const name of [sent.id, twilioSid, sent.smsMessageSid ?? '']) {
      const run = await retry(name);
      expect(run.exitCode).toBe(0);
      expect(run.output).toContain(`its SMS was sent before: nothing is sent (${sent.smsMessageSid ?? ''})`);
      expect(run.output).toContain('Nothing was changed.');
    }
    expect(await expectOneSms(application, twilioSid)).toEqual(sent);
    expect(attemptsFor(application, twilioSid)).toHaveLength(1);
  });

  it('sends the SMS of a skipped fallback after the cause is removed', async () => {
    const { twilioSid, conversationId } = await seedMessage(application.dataSource, { company: false });
    await policyFailure(application, twilioSid);
    const skipped = await untilAllIsDone(application, twilioSid);
    expect(skipped).toMatchObject({ state: 'skipped', reason: 'conversation_without_company' });
    await retry(twilioSid);
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({
      state: 'skipped',
      reason: 'conversation_without_company',
    });
    await application.query(
      `with company as (insert into companies (name) values ('Example Clinic') returning id)
       update conversations set company_id = company.id from company where conversations.id = $1`,
      [conversationId],
    );
    await retry(twilioSid);
    expect(await expectOneSms(application, twilioSid)).toMatchObject({ attempts: 1 });
  });

  it('sends nothing if WhatsApp has delivered the message meanwhile', async () => {
    const { twilioSid } = await seedFallback(application, {
      state: 'failed',
      reason: 'rejected_by_twilio',
      attempts: 1,
    });
    await application.twilio.sendCallback({
      url: WEBHOOK_URL,
      parameters: whatsappStatusParameters({
        messageSid: twilioSid,
        status: 'delivered',
        to: recipientOf(twilioSid),
        from: '+15550001111',
      }),
    });
    const run = await retry(twilioSid);
    expect(run.output).toContain('WhatsApp delivered the message after all: nothing is sent');
    await untilQueueIsEmpty(application);
    expect(await untilFallbackEnds(application, twilioSid)).toMatchObject({ state: 'failed' });
    expect(attemptsFor(application, twilioSid)).toEqual([]);
  });

  it('sends one SMS, however many retries and callbacks come at once', async () => {
    const { twilioSid } = await seedFallback(application, {
      state: 'failed',
      reason: 'rejected_by_twilio',
      attempts: 1,
    });
    await Promise.all([
      retry(twilioSid),
      policyFailure(application, twilioSid, { status: 'failed' }),
      retry(twilioSid),
      policyFailure(application, twilioSid, { status: 'undelivered' }),
      retry(twilioSid),
    ]);
    expect(await expectOneSms(application, twilioSid)).toMatchObject({ attempts: 2 });
    expect(attemptsFor(application, twilioSid)).toHaveLength(1);
  });

  it('refuses a person who has opted out, whatever options are set', async () => {
    const { twilioSid } = await seedFallback(application, {
      ...{ state: 'failed', reason: 'rejected_by_twilio', lastErrorCode: '21610', attempts: 1 },
    });
    for (const more of [[], ['--ignore-age'], ['--yes']]) {
      const run = await retry(twilioSid, ...more);
      expect(run.exitCode).toBe(1);
      expect(run.output).toContain(`${twilioSid}  the person has opted out of SMS, which is final`);
    }
    const shown = await runCommand(database, 'fallbacks', ['show', twilioSid]);
    expect(shown.output).toContain('The person has opted out of your SMS. That is final.');
    expect(shown.output).not.toContain('To try again');
    await untilQueueIsEmpty(application);
    expect(attemptsFor(application, twilioSid)).toEqual([]);
  });

  it('records who asked, also for a fallback that is under way', async () => {
    const { twilioSid } = await seedFallback(application, { state: 'skipped', reason: 'no_text' });
    const { twilioSid: open } = await seedFallback(application, {
      ...{ state: 'claimed', nextAttemptAt: minutesAgo(-60) },
    });
    await retry(twilioSid, open);
    for (const sid of [twilioSid, open]) {
      expect(await untilAllIsDone(application, sid)).toMatchObject({ retriedBy: REQUESTER });
      const shown = await runCommand(database, 'fallbacks', ['show', sid]);
      expect(shown.output).toMatch(new RegExp(`tried again .*by ${REQUESTER}`));
    }
  });

  it('changes nothing in a dry run, and ends with 1 if a name is unknown', async () => {
    const { twilioSid, fallbackId } = await seedFallback(application, {
      state: 'skipped',
      reason: 'no_text',
    });
    const run = await retry('SMunknown', twilioSid, '--dry-run', '--json');
    expect(run.exitCode).toBe(1);
    expect(run.complaints).toContain('There is no fallback for SMunknown');
    expect(JSON.parse(run.output)).toEqual([
      { id: fallbackId, originalMessageSid: twilioSid, smsMessageSid: null, decision: 'claimed_again' },
    ]);
    await untilQueueIsEmpty(application);
    expect(await untilFallbackEnds(application, twilioSid)).toMatchObject({
      state: 'skipped',
      retriedAt: null,
    });
  });
});
