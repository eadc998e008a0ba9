import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { seedFallback } from './ended-fallback.js';
import { runCommand } from './run-command.js';

describe('npm run fallbacks -- list and show', () => {
  let database: DatabaseConnection;
  let application: TestApplication;
  let sent: Awaited<ReturnType<typeof untilAllIsDone>>;
  let failed: Awaited<ReturnType<typeof seedFallback>>;
  let skipped: Awaited<ReturnType<typeof seedFallback>>;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({ database });
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    sent = await untilAllIsDone(application, twilioSid);
    failed = await seedFallback(
      application,
      {
        state: 'failed',
        reason: 'rejected_by_twilio',
        attempts: 1,
        lastErrorCode: '21610',
        lastError: 'Attempt to send to unsubscribed recipient: +1 555-123-4567',
        createdAt: minutesAgo(60),
      },
      { body: 'Call us at +15559876543' },
    );
    skipped = await seedFallback(application, {
      state: 'skipped',
      reason: 'no_text',
      createdAt: minutesAgo(120),
    });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  const fallbacks = (...args: string[]) => runCommand(database, 'fallbacks', args);

  async function listedIds(...args: string[]): Promise<string[]> {
    const { exitCode, output } = await fallbacks('list', '--json', ...args);
    expect(exitCode).toBe(0);
    return (JSON.parse(output) as { id: string }[]).map(({ id }) => id);
  }

  it('lists the newest first, in columns', async () => {
    const { exitCode, output, complaints } = await fallbacks('list');
    expect({ exitCode, complaints }).toEqual({ exitCode: 0, complaints: '' });
    const [names, ...rows] = output.split('\n').map((line) => line.split(/\s{2,}/));
    expect(names).toEqual(['id', 'original message', 'state', 'reason', 'code', 'attempts', 'created']);
    expect(rows.map((row) => row.slice(0, 6))).toEqual([
      [sent.id, sent.originalMessageSid, 'sent', '-', '-', '1'],
      [failed.fallbackId, failed.twilioSid, 'failed', 'rejected_by_twilio', '21610', '1'],
      [skipped.fallbackId, skipped.twilioSid, 'skipped', 'no_text', '-', '0'],
    ]);
    expect(rows[1]?.[6]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/);
  });

  it('lists the fallbacks that match a filter', async () => {
    expect(await listedIds('--state', 'failed,skipped')).toEqual([failed.fallbackId, skipped.fallbackId]);
    expect(await listedIds('--reason', 'no_text,no_recipient')).toEqual([skipped.fallbackId]);
    expect(await listedIds('--since', '90m')).toEqual([sent.id, failed.fallbackId]);
    expect(await listedIds('--since', '90m', '--until', '30m')).toEqual([failed.fallbackId]);
    expect(await listedIds('--state', 'sent', '--until', '30m')).toEqual([]);
  });

  it('says how many it leaves out, and that the list is empty', async () => {
    const limited = await fallbacks('list', '--limit', '2');
    expect(limited.output).toContain('The newest 2 of 3 fallbacks. --limit shows more.');
    expect(limited.output).not.toContain(skipped.fallbackId);
    const none = await fallbacks('list', '--state', 'uncertain');
    expect(none).toMatchObject({ exitCode: 0, output: 'There is no such fallback.' });
  });

  it('shows one by its id, the original’s SID, or the SID of its SMS, with the events of both in order', async () => {
    const shown = await Promise.all(
      [sent.id, sent.originalMessageSid, sent.smsMessageSid ?? ''].map((name) => fallbacks('show', name)),
    );
    expect(new Set(shown.map(({ output }) => output)).size).toBe(1);
    const [{ exitCode, output } = { exitCode: 1, output: '' }] = shown;
    expect(exitCode).toBe(0);
    expect(output).toContain(`Fallback ${sent.id} of the message ${sent.originalMessageSid}`);
    expect(output).toContain('Twilio accepted the SMS.');
    const events = output.slice(output.indexOf('received  ')).split('\n').slice(1);
    expect(events.map((line) => line.split(/\s{2,}/).slice(1))).toEqual([
      ['original', sent.originalMessageSid, 'whatsapp', 'undelivered', 'callback', '63049'],
      ['SMS', sent.smsMessageSid, 'sms', 'sent', 'callback', '-'],
      ['SMS', sent.smsMessageSid, 'sms', 'delivered', 'callback', '-'],
    ]);
  });

  it('says that an opt-out has no remedy', async () => {
    const { output } = await fallbacks('show', failed.twilioSid);
    expect(output).toContain('failed: rejected_by_twilio');
    expect(output).toContain('The person has opted out of your SMS. That is final.');
    expect(output).not.toContain('npm run fallbacks -- retry');
    expect(output).toContain('No event of the message or of its SMS is stored.');
  });

  it('names the latest time of one that waits for its sender', async () => {
    await application.query(
      `insert into sms_senders (key, not_before) values ('AC1 MG1', now() + interval '1 hour')`,
    );
    const { twilioSid } = await seedFallback(application, {
      ...{ state: 'claimed', reason: 'waiting_for_sender', pacedBy: 'AC1 MG1' },
      nextAttemptAt: minutesAgo(-60),
    });
    const { output } = await fallbacks('show', twilioSid);
    expect(output).toMatch(/next step +when its turn comes, by .+ at the latest/);
  });

  it('masks telephone numbers, in texts too, unless --numbers is set', async () => {
    const to = recipientOf(failed.twilioSid);
    const masked = `+*******${to.slice(-4)}`;
    for (const json of [[], ['--json']]) {
      const usual = await fallbacks('show', failed.fallbackId, ...json);
      expect(usual.output).toContain(masked);
      expect(usual.output).toContain('+* ***-***-4567');
      expect(usual.output).toContain('+*******6543');
      expect(usual.output).not.toMatch(/\+1\s?555/);
      const whole = await fallbacks('show', failed.fallbackId, ...json, '--numbers');
      for (const number of [to, '+1 555-123-4567', '+15559876543', '+15550001111']) {
        expect(whole.output).toContain(number);
      }
    }
    expect((await fallbacks('list', '--json')).output).not.toMatch(/\+1\s?555/);
    expect((await fallbacks('list', '--json', '--numbers')).output).toContain(to);
    expect((await fallbacks('show', sent.id, '--json')).output).not.toMatch(/\+1555/);
  });

  it('prints everything as JSON, and no text in a list', async () => {
    const { output } = await fallbacks('show', sent.id, '--json');
    expect(JSON.parse(output)).toMatchObject({
      id: sent.id,
      originalMessageSid: sent.originalMessageSid,
      state: 'sent',
      smsMessageSid: sent.smsMessageSid,
      text: 'Your appointment is tomorrow at 10:00.',
      truncated: false,
      createdAt: sent.createdAt.toISOString(),
      events: [
        { message: 'original', status: 'undelivered', errorCode: '63049' },
        { message: 'sms', status: 'sent' },
        { message: 'sms', status: 'delivered' },
      ],
    });
    expect((await fallbacks('list', '--json')).output).not.toContain('appointment');
  });

  it.each(['SMunknown', '01a2058f-d631-7533-993d-a1bca6b15930'])('ends with 1 for %s', async (name) => {
    const run = await fallbacks('show', name);
    expect(run).toMatchObject({ exitCode: 1, output: '' });
    expect(run.complaints).toContain(`There is no fallback for ${name}`);
  });
});
