import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eraseCommand } from '../../src/commands/erase-command.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';
import { seedFallback } from './ended-fallback.js';
import { runCommand } from './run-command.js';

describe('npm run erase', () => {
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

  function erase(...args: string[]) {
    return runCommand(database, eraseCommand, args);
  }

  /** Every row of the service's own tables, as text. */
  async function everything(): Promise<string> {
    const tables = ['message_events', 'sms_fallbacks', 'rejected_callbacks'];
    const rows = await Promise.all(
      tables.map((table) => application.query<{ row: string }>(`select ${table}::text as row from ${table}`)),
    );
    return rows
      .flat()
      .map(({ row }) => row)
      .join('\n');
  }

  function counts() {
    return application.query(
      `select channel, message_status, error_code, count(*) from message_events group by 1, 2, 3 order by 1, 2, 3`,
    );
  }

  it('takes the number and the text out, and keeps the rows and so the counts', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const other = await seedMessage(application.dataSource);
    const number = recipientOf(twilioSid);
    await policyFailure(application, twilioSid);
    await policyFailure(application, other.twilioSid);
    await untilAllIsDone(application, twilioSid);
    await untilAllIsDone(application, other.twilioSid);
    await postCallback(application, {
      parameters: statusParameters({ MessageStatus: '', To: `whatsapp:${number}` }),
    });
    const before = await counts();
    expect(await everything()).toContain(number.slice(1));

    const dryRun = await erase('--number', number, '--dry-run');
    expect(dryRun).toMatchObject({ exitCode: 0 });
    expect(dryRun.output).toContain(
      `Of +*******${number.slice(-4)} there are 3 events, 1 fallback, 1 rejected callback.`,
    );
    expect(await everything()).toContain(number.slice(1));

    const { exitCode, output } = await erase('--number', number, '--yes');
    expect(exitCode).toBe(0);
    expect(output).toContain('Erased: 3 events, 1 fallback, 1 rejected callback.');
    const left = await everything();
    expect(left).not.toContain(number.slice(1));
    expect(left).toContain(recipientOf(other.twilioSid).slice(1));
    expect(await counts()).toEqual(before);
    expect(
      await application.query(
        `select state, to_number, body, erased_at is not null as erased from sms_fallbacks
          where original_message_sid = $1`,
        [twilioSid],
      ),
    ).toEqual([{ state: 'sent', to_number: null, body: null, erased: true }]);
    await policyFailure(application, twilioSid, { status: 'failed' });
    await untilAllIsDone(application, twilioSid);
    expect(smsFor(application, twilioSid)).toHaveLength(1);
  });

  it('leaves a fallback alone that is not at an end, and says so', async () => {
    const { twilioSid } = await seedFallback(application, {
      state: 'claimed',
      nextAttemptAt: minutesAgo(-60),
    });
    const { exitCode, complaints } = await erase('--number', recipientOf(twilioSid), '--yes');
    expect(exitCode).toBe(1);
    expect(complaints).toContain('1 fallback not at an end yet');
    expect(
      await application.query('select to_number from sms_fallbacks where original_message_sid = $1', [
        twilioSid,
      ]),
    ).toEqual([{ to_number: recipientOf(twilioSid) }]);
  });

  it('changes nothing where nobody consents, and does not show the whole number', async () => {
    const { twilioSid } = await seedFallback(application, { state: 'skipped', reason: 'no_text' });
    const number = recipientOf(twilioSid);
    const { exitCode, output, complaints } = await erase('--number', number);
    expect(exitCode).toBe(1);
    expect(complaints).toContain('add --yes');
    expect(output + complaints).not.toContain(number);
    expect(await everything()).toContain(number);
  });

  it.each([
    [[]],
    [['--number', '0155512345']],
    [['--number', '555 123 4567']],
    [['--number', '491701234567', '--yes']],
    [['+15551234567']],
  ])('does not understand %j', async (args) => {
    expect(await runCommand(null, eraseCommand, args)).toMatchObject({ exitCode: 2 });
  });
});
