import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { findFallback, policyFailure, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { jobsOf, untilQueueIsEmpty } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { runCommand } from './run-command.js';

describe('npm run replay', () => {
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

  const replay = (codes: readonly string[], ...args: string[]) =>
    runCommand(database, 'replay', args, { policyFailureErrorCodes: codes });

  /** A message that WhatsApp did not deliver, reported under both statuses. */
  async function fail(errorCode: number): Promise<string> {
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid, { errorCode, status: 'failed' });
    await policyFailure(application, twilioSid, { errorCode, status: 'undelivered' });
    await untilQueueIsEmpty(application);
    return twilioSid;
  }

  it('sends one SMS for each message with a newly added code, and changes nothing for the others', async () => {
    const known = await fail(63049);
    const added = await fail(63024);
    const never = await fail(63014);
    const before = await untilAllIsDone(application, known);
    expect(await findFallback(application, added)).toBeNull();

    const dryRun = await replay(['63049', '63024'], '--since', '1h', '--dry-run');
    expect(dryRun).toMatchObject({ exitCode: 0, complaints: '' });
    expect(dryRun.output).toContain('1 message had none: it would be started.');
    expect(await jobsOf(application, 'whatsapp.policy_failed')).toEqual([]);
    await untilQueueIsEmpty(application);
    expect(await findFallback(application, added)).toBeNull();

    const run = await replay(['63049', '63024'], '--since', '1h');
    expect(run).toMatchObject({ exitCode: 0, complaints: '' });
    expect(run.output).toContain('4 events published');
    expect(run.output).toContain('1 message had a fallback already: nothing changes for it.');
    expect(run.output).toContain('1 message had none: the running service starts it.');
    const sent = await untilAllIsDone(application, added);
    expect(sent).toMatchObject({ state: 'sent', attempts: 1 });
    expect(smsFor(application, added)).toMatchObject([
      {
        sid: sent.smsMessageSid,
        parameters: { StatusCallback: `${WEBHOOK_URL}?sms_fallback_id=${sent.id}#rc=5&rp=all` },
      },
    ]);
    expect(await untilAllIsDone(application, known)).toEqual(before);
    expect(smsFor(application, known)).toHaveLength(1);
    expect(await findFallback(application, never)).toBeNull();
  });

  it('sends one SMS, even if it runs twice, or twice at once and with callbacks', async () => {
    const sid = await fail(63032);
    const again = () => replay(['63049', '63024', '63032'], '--since', '1h');
    await Promise.all([again(), policyFailure(application, sid, { errorCode: 63049 }), again()]);
    await untilQueueIsEmpty(application);
    const run = await again();
    expect(run.output).toContain('0 messages had none');
    await untilQueueIsEmpty(application);
    expect(await untilAllIsDone(application, sid)).toMatchObject({ state: 'sent', attempts: 1 });
    const rows = await application.query<{ sid: string }>(
      'select original_message_sid as sid from sms_fallbacks',
    );
    expect(rows.map((row) => smsFor(application, row.sid).length)).toEqual(rows.map(() => 1));
  });

  it('does not reopen a failed fallback', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    application.twilio.failNext({ on: 'create', fault: { type: 'error', status: 400, code: 21610 } });
    await policyFailure(application, twilioSid);
    const failed = await untilAllIsDone(application, twilioSid);
    await replay(['63049'], '--since', '1h');
    expect(await untilAllIsDone(application, twilioSid)).toEqual(failed);
    expect(smsFor(application, twilioSid)).toEqual([]);
  });
});

/** Runs without a service, so that published events stay in the queue. */
describe('npm run replay with many events', () => {
  let database: DatabaseConnection;
  let reader: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    reader = await TestApplication.start({ database });
    await reader.query(
      `insert into message_events (message_sid, message_status, channel, error_code, account_sid, payload, to_number, created_at)
       select 'SM' || number, 'failed', case when number % 10 = 0 then 'sms' else 'whatsapp' end, '63049', 'AC1', '{}',
              '+15550000001', timestamptz '2026-01-01 00:00Z' + number / 100 * interval '1 minute'
         from generate_series(0, 1299) as number`,
    );
    await reader.close();
  });

  afterAll(() => database.close());

  it('publishes each of them once in bounded batches, within the time limit', async () => {
    const range = ['--since', '2026-01-01T00:01Z', '--until', '2026-01-01T00:13Z'];
    const run = await runCommand(database, 'replay', range);
    expect(run).toMatchObject({ exitCode: 0, complaints: '' });
    expect(run.output.split('\n').filter((line) => line.includes('published'))).toEqual([
      '  180 events published, up to 2026-01-01 00:02:00Z',
      '  360 events published, up to 2026-01-01 00:04:00Z',
      '  540 events published, up to 2026-01-01 00:06:00Z',
      '  720 events published, up to 2026-01-01 00:08:00Z',
      '  900 events published, up to 2026-01-01 00:10:00Z',
      '  1,080 events published, up to 2026-01-01 00:12:00Z',
    ]);
    expect(run.output).toContain('0 messages had a fallback already');
    expect(run.output).toContain('1,080 messages had none');
    const none = await runCommand(database, 'replay', ['--since', '2026-01-02', '--until', '2026-01-03']);
    expect(none.output).toContain('No policy failures found.');
  });
});
