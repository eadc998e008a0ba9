import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { Client } from 'pg';
import { delivered, sequence, silent } from '../../simulator/callback-plan.js';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import {
  findFallback,
  policyFailure,
  smsFor,
  untilAllIsDone,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { jobsOf } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';

const LOCK = 30_001;

/** If a statement times out here, the fallback is taken up again when its worker's lock expires. */
const RECOVERY_MILLISECONDS = 90_000;

jest.setTimeout(2 * RECOVERY_MILLISECONDS);

describeOnServer('a report that an SMS was never sent, while the SMS is being recorded,', () => {
  let database: DatabaseConnection;
  let application: TestApplication;
  let holder: Client;

  beforeEach(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({
      database,
      simulator: { callbackPlan: sequence(silent, delivered) },
      // The periodic rounds would find it after a minute.
      override: withFallbackOptions({ resendDelayMilliseconds: 0, intervalMilliseconds: 0 }),
    });
    holder = new Client(database.client);
    await holder.connect();
    await holder.query(`
      create function wait_for_the_test() returns trigger language plpgsql as $$
      begin
        perform pg_advisory_xact_lock(${LOCK});
        return new;
      end $$;
      create trigger wait_for_the_test after update on sms_fallbacks
        for each row when (old.state = 'sending' and new.state = 'sent') execute function wait_for_the_test();`);
  });

  afterEach(async () => {
    await holder.end();
    await application.close();
    await database.close();
  });

  async function waitingFor(lockType: 'advisory' | 'transactionid' | 'tuple'): Promise<boolean> {
    const { rows } = await holder.query(
      `select from pg_locks join pg_stat_activity using (pid)
        where locktype = $1 and not granted and datname = current_database()`,
      [lockType],
    );
    return rows.length > 0;
  }

  it('leads to another SMS', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await holder.query('select pg_advisory_lock($1)', [LOCK]);
    await policyFailure(application, twilioSid);
    await until('the record of the SMS to be under way', () => waitingFor('advisory'));

    const [sms] = smsFor(application, twilioSid);
    const { sid: messageSid = '', statusCallback: url = '', to = '', from = '' } = sms ?? {};
    const parameters = smsStatusParameters({ messageSid, status: 'failed', errorCode: 30001, to, from });
    expect(await application.twilio.sendCallback({ url, parameters })).toMatchObject({ status: 204 });
    await until('the report to have been worked on, or to wait', async () => {
      const isDone = (await jobsOf(application, 'sms.never_sent')).length === 0;
      return isDone || (await waitingFor('transactionid')) || (await waitingFor('tuple'));
    });
    await holder.query('select pg_advisory_unlock($1)', [LOCK]);

    await until(
      'the second SMS',
      async () => (await findFallback(application, twilioSid))?.attempts === 2,
      RECOVERY_MILLISECONDS,
    );
    expect(await untilAllIsDone(application, twilioSid)).toMatchObject({ state: 'sent', attempts: 2 });
    expect(smsFor(application, twilioSid)).toHaveLength(2);
  });
});
