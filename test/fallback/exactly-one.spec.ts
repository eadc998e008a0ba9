import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { policyFailure, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { jobsOf } from '../support/job-queue.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';

/** Two replicas on one database and one Twilio. Callbacks reach the replica whose name is first in a call. */
describe('one SMS for one message', () => {
  let database: DatabaseConnection;
  let first: TestApplication;
  let second: TestApplication;

  beforeAll(async () => {
    database = await createTestDatabase();
    first = await TestApplication.start({ database });
    second = await TestApplication.start({
      database,
      env: { TWILIO_API_BASE_URL: first.twilio.baseUrl },
    });
  });

  afterAll(async () => {
    await second.close();
    await first.close();
    await database.close();
  });

  async function expectOneSms(messageSid: string, events: number): Promise<void> {
    const fallback = await untilAllIsDone(first, messageSid);
    expect(fallback).toMatchObject({ state: 'sent', attempts: 1 });
    expect(smsFor(first, messageSid).map(({ sid }) => sid)).toEqual([fallback.smsMessageSid]);
    expect(second.twilio.messages).toEqual([]);
    const [counted] = await first.query(
      `select (select count(*)::int from message_events where message_sid = $1) as events,
              (select count(*)::int from sms_fallbacks where original_message_sid = $1) as fallbacks`,
      [messageSid],
    );
    expect(counted).toEqual({ events, fallbacks: 1 });
  }

  const reportUndelivered = (messageSid: string) =>
    policyFailure(first, messageSid, { status: 'undelivered', errorCode: undefined });

  async function errorCodeOf(messageSid: string): Promise<string | null | undefined> {
    const [event] = await first.query<{ error_code: string | null }>(
      `select error_code from message_events where message_sid = $1`,
      [messageSid],
    );
    return event?.error_code;
  }

  it('is sent when Twilio reports failed and later undelivered', async () => {
    const { twilioSid } = await seedMessage(first.dataSource);
    await policyFailure(first, twilioSid, { status: 'failed' });
    await untilAllIsDone(first, twilioSid);
    await policyFailure(first, twilioSid, { status: 'undelivered' });
    await expectOneSms(twilioSid, 2);
  });

  it('is sent when the status came without its ErrorCode at first, and repeatedly with it', async () => {
    const { twilioSid } = await seedMessage(first.dataSource);
    await reportUndelivered(twilioSid);
    const complete = () => policyFailure(first, twilioSid, { status: 'undelivered' });
    await Promise.all([complete(), reportUndelivered(twilioSid), complete()]);
    await complete();
    await expectOneSms(twilioSid, 1);
    expect(await errorCodeOf(twilioSid)).toBe('63049');
    expect(await first.query(`select id from message_events where message_sid = $1`, [twilioSid])).toEqual(
      await first.query('select message_event_id as id from sms_fallbacks where original_message_sid = $1', [
        twilioSid,
      ]),
    );
  });

  it('is not sent if the later ErrorCode is no policy code, which is stored as well', async () => {
    const { twilioSid } = await seedMessage(first.dataSource);
    await reportUndelivered(twilioSid);
    await policyFailure(first, twilioSid, { status: 'undelivered', errorCode: 63016 });
    await policyFailure(first, twilioSid, { status: 'undelivered', errorCode: 63049 });
    expect(await errorCodeOf(twilioSid)).toBe('63016');
    expect(await jobsOf(first, 'whatsapp.policy_failed')).toEqual([]);
    expect(smsFor(first, twilioSid)).toEqual([]);
  });

  it('is sent when failed and undelivered arrive at once', async () => {
    const { twilioSid } = await seedMessage(first.dataSource);
    await Promise.all([
      policyFailure(first, twilioSid, { status: 'failed' }),
      policyFailure(first, twilioSid, { status: 'undelivered' }),
    ]);
    await expectOneSms(twilioSid, 2);
  });

  it('is sent when failed and undelivered arrive at once on two replicas', async () => {
    const { twilioSid } = await seedMessage(first.dataSource);
    await Promise.all([
      policyFailure(first, twilioSid, { status: 'failed' }),
      policyFailure(second, twilioSid, { status: 'undelivered' }),
    ]);
    await expectOneSms(twilioSid, 2);
  });

  it('is sent when Twilio repeats the callback, to either replica', async () => {
    const { twilioSid } = await seedMessage(first.dataSource);
    for (const replica of [first, second, first]) await policyFailure(replica, twilioSid);
    await Promise.all([first, second, first, second].map((replica) => policyFailure(replica, twilioSid)));
    await expectOneSms(twilioSid, 1);
    await policyFailure(second, twilioSid);
    await expectOneSms(twilioSid, 1);
  });

  it('is sent for each of many messages whose callbacks arrive at once on both replicas', async () => {
    const messages = await Promise.all(Array.from({ length: 20 }, () => seedMessage(first.dataSource)));
    await Promise.all(
      messages.flatMap(({ twilioSid }) => [
        policyFailure(first, twilioSid, { status: 'failed' }),
        policyFailure(second, twilioSid, { status: 'undelivered' }),
      ]),
    );
    for (const { twilioSid } of messages) await expectOneSms(twilioSid, 2);
  });
});
