import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { findFallback, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { untilQueueIsEmpty } from '../support/job-queue.js';
import { createTestDatabase } from '../support/test-database.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { seedFallback } from './ended-fallback.js';
import { type CommandSurroundings, runCommand } from './run-command.js';

describe('npm run fallbacks -- retry <filter>', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({ database });
  });

  afterEach(() => application.query('delete from sms_fallbacks'));

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  const retry = (args: string[], surroundings?: CommandSurroundings) =>
    runCommand(database, 'fallbacks', ['retry', ...args], surroundings);

  /** @returns the SIDs of the original messages. */
  async function seed(count: number, reason: string, createdAt = minutesAgo(10)): Promise<string[]> {
    const row = { state: 'failed', reason, attempts: 1, createdAt } as const;
    const seeded = await Promise.all(Array.from({ length: count }, () => seedFallback(application, row)));
    return seeded.map(({ twilioSid }) => twilioSid);
  }

  async function expectSent(messageSids: readonly string[]): Promise<void> {
    for (const messageSid of messageSids) {
      expect(await untilAllIsDone(application, messageSid)).toMatchObject({ state: 'sent' });
      expect(smsFor(application, messageSid)).toHaveLength(1);
    }
  }

  async function expectUntouched(messageSids: readonly string[]): Promise<void> {
    await untilQueueIsEmpty(application);
    for (const messageSid of messageSids) {
      expect(await findFallback(application, messageSid)).toMatchObject({ state: 'failed', retriedAt: null });
      expect(smsFor(application, messageSid)).toEqual([]);
    }
  }

  it('says how many match, asks, and retries those and no others', async () => {
    const chosen = await seed(3, 'twilio_unavailable');
    const others = [
      ...(await seed(1, 'rejected_by_twilio')),
      ...(await seed(1, 'twilio_unavailable', minutesAgo(300))),
    ];
    const filter = ['--state', 'failed', '--reason', 'twilio_unavailable', '--since', '1h'];
    const run = await retry(filter, { answer: true });
    expect(run).toMatchObject({ exitCode: 0, complaints: '', questions: ['Try 3 fallbacks again?'] });
    expect(run.output).toContain('3  claimed again');
    await expectSent(chosen);
    await expectUntouched(others);
    expect((await retry(filter, { answer: true })).output).toContain('There is no such fallback.');
  });

  it('skips people who opted out or cannot receive SMS, and says how many', async () => {
    const chosen = await seed(1, 'twilio_unavailable');
    const final = await seed(3, 'rejected_by_twilio');
    await application.query(
      `update sms_fallbacks set last_error_code = case when original_message_sid = $1 then '21610' else '21614' end
        where original_message_sid = any($2)`,
      [final[0], final],
    );
    const run = await retry(['--state', 'failed', '--yes', '--ignore-age']);
    expect(run).toMatchObject({ exitCode: 0, complaints: '' });
    expect(run.output).toContain('1  the person has opted out');
    expect(run.output).toContain('2  Twilio rejected the number');
    expect(run.output).toContain('1 fallback to be tried again.');
    await expectSent(chosen);
    await expectUntouched(final);
  });

  it('changes nothing if the answer is no', async () => {
    const chosen = await seed(2, 'twilio_unavailable');
    const run = await retry(['--state', 'failed'], { answer: false });
    expect(run).toMatchObject({ exitCode: 1, complaints: 'Nothing was changed.' });
    await expectUntouched(chosen);
  });

  it('changes nothing without a terminal, and says which option to add', async () => {
    const chosen = await seed(2, 'twilio_unavailable');
    const run = await retry(['--reason', 'twilio_unavailable']);
    expect(run.exitCode).toBe(1);
    expect(run.complaints).toContain('Not a terminal: pass --yes, or --dry-run to preview.');
    await expectUntouched(chosen);
  });

  it('only previews in a dry run', async () => {
    const chosen = await seed(2, 'twilio_unavailable');
    const run = await retry(['--state', 'failed', '--dry-run', '--json']);
    expect(run).toMatchObject({ exitCode: 0, complaints: '', questions: [] });
    expect(JSON.parse(run.output)).toEqual({ dryRun: true, decisions: { claimed_again: 2 } });
    await expectUntouched(chosen);
  });

  it('does not ask with --yes, takes any number in batches, and skips what was sent', async () => {
    const chosen = await seed(101, 'twilio_unavailable');
    const [sent] = await seed(1, 'rejected_by_twilio');
    await application.query(
      `update sms_fallbacks set state = 'sent', reason = null, sms_message_sid = 'SMsent' where original_message_sid = $1`,
      [sent],
    );
    const run = await retry(['--since', '1h', '--yes', '--json']);
    expect(run).toMatchObject({ exitCode: 0, complaints: '', questions: [] });
    expect(JSON.parse(run.output)).toEqual({ dryRun: false, decisions: { claimed_again: 101 } });
    await expectSent(chosen);
    expect(smsFor(application, sent ?? '')).toEqual([]);
  });
});
