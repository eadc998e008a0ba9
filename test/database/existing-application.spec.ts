import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { whatsappStatusParameters } from '../../simulator/callback-parameters.js';
import { delivered } from '../../simulator/callback-plan.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';
import { TestApplication, WEBHOOK_URL } from '../support/application.js';
import { untilAllIsDone } from '../support/fallbacks.js';
import { follow } from '../support/following.js';
import { randomMessageSid } from '../support/seed.js';
import { createEmptyDatabase } from '../support/test-database.js';
import { APPLICATION_TABLES, execute } from './application-tables.js';

describe('the database of an application that already has messages', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeAll(async () => {
    database = await createEmptyDatabase();
    await execute(database, APPLICATION_TABLES);
    await migrateDatabase(database);
    application = await TestApplication.start({ database });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  async function report(messageSid: string, status: string, errorCode?: number): Promise<number> {
    const answer = await application.twilio.sendCallback({
      url: WEBHOOK_URL,
      parameters: whatsappStatusParameters({
        messageSid,
        status,
        errorCode,
        to: 'whatsapp:+15557654321',
        from: 'whatsapp:+15550001111',
      }),
    });
    return answer.status;
  }

  async function store(messageSid: string): Promise<string> {
    const [row] = await application.query<{ id: string }>(
      `insert into messages (conversation_id, twilio_sid, direction, channel, body, status)
       values (1, $1, 'outbound', 'whatsapp', 'See you at ten', 'queued') returning id`,
      [messageSid],
    );
    return row?.id ?? '';
  }

  it('keeps its rows, and gives the links the type of its messages.id', async () => {
    expect(await application.query(`select body from messages where id = 9007199254740993`)).toEqual([
      { body: 'Hi' },
    ]);
    const types = await application.query(
      `select attrelid::regclass::text || '.' || attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
        where attname in ('message_id', 'fallback_sms_message_id')
          and attrelid in ('message_events'::regclass, 'sms_fallbacks'::regclass) order by 1`,
    );
    expect(types).toEqual([
      { name: 'message_events.fallback_sms_message_id', type: 'bigint' },
      { name: 'sms_fallbacks.message_id', type: 'bigint' },
    ]);
  });

  it('has the status of a message follow its events', async () => {
    const sid = randomMessageSid();
    const id = await store(sid);
    expect(await report(sid, 'delivered')).toBe(204);
    await follow(application);
    expect(await application.query('select status from messages where id = $1', [id])).toEqual([
      { status: 'delivered' },
    ]);
  });

  it('gets the whole fallback: the SMS in its messages, linked to the event, the fallback, and its callbacks', async () => {
    const sid = randomMessageSid();
    await store(sid);
    // The SMS's callbacks come before its row, and are linked to it later.
    application.twilio.failNext({ on: 'create', fault: { type: 'answerAfterCallbacks' } });
    application.twilio.callbackPlan = delivered;
    expect(await report(sid, 'undelivered', 63049)).toBe(204);
    // The job has ended, and so has the work after the record of the SMS.
    const { smsMessageSid, messageId } = await untilAllIsDone(application, sid);
    expect(application.twilio.messages.map(({ from, to, body }) => ({ from, to, body }))).toEqual([
      { from: '+15550001111', to: '+15557654321', body: 'See you at ten' },
    ]);
    expect(
      await application.query(
        'select id, conversation_id, direction, channel, body, status, read_by from messages where twilio_sid = $1',
        [smsMessageSid],
      ),
    ).toEqual([
      {
        id: messageId,
        conversation_id: '1',
        direction: 'outbound',
        channel: 'sms',
        body: 'See you at ten',
        status: 'delivered',
        read_by: [],
      },
    ]);
    expect(
      await application.query(
        'select fallback_sms_message_id as id from message_events where message_sid = $1',
        [sid],
      ),
    ).toEqual([{ id: messageId }]);
  });
});
