import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { demoAccount } from '../../simulator/demo-account.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import {
  MODULE_OPTIONS_TOKEN,
  type StatusPollingModuleOptions,
} from '../../src/status-polling/message-polls.store.js';
import { TestApplication } from '../support/application.js';
import { recipientOf, smsFor, untilAllIsDone } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { asked, lines, pass, POLICY_FAILURE, runOnce, sendWhatsapp, sourcesOf } from './polling.js';

const UNINDEXED =
  'messages has no index on a created_at with a time zone: a message without any callback is not asked about';

const FAILING = 'Statuses cannot be asked for now';

describe('the start after a downtime', () => {
  let database: DatabaseConnection;
  let application: TestApplication;

  beforeEach(async () => {
    database = await createTestDatabase();
    application = await TestApplication.start({ database });
  });

  afterEach(async () => {
    await application.close();
    await database.close();
  });

  /** Starts again, with a Twilio that has this status for the message by now. */
  async function startAgain(sid: string, env: Record<string, string>): Promise<void> {
    await application.close();
    application = await TestApplication.start({ database, env });
    const to = `whatsapp:${recipientOf(sid)}`;
    application.twilio.addMessage({ sid, to, from: 'whatsapp:+15550001111', ...POLICY_FAILURE });
  }

  it('closes the gap at once: messages that Meta refused in the meantime get their SMS', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await sendWhatsapp(application, [{ status: 'sent' }], twilioSid);
    const unheardOf = await seedMessage(application.dataSource);
    await pass(application, 3 * 60);
    await application.close();
    application = await TestApplication.start({ database });
    for (const sid of [twilioSid, unheardOf.twilioSid]) {
      const to = `whatsapp:${recipientOf(sid)}`;
      application.twilio.addMessage({ sid, to, from: 'whatsapp:+15550001111', ...POLICY_FAILURE });
    }
    const { twilio } = application;
    const polling = await TestApplication.start({
      database,
      env: { STATUS_POLL_AFTER_MINUTES: '10', TWILIO_API_BASE_URL: twilio.baseUrl },
    });
    try {
      for (const sid of [twilioSid, unheardOf.twilioSid]) {
        await untilAllIsDone(application, sid);
        expect(smsFor(application, sid)).toHaveLength(1);
        expect(await sourcesOf(application, sid)).toMatchObject({ undelivered: 'poll' });
      }
    } finally {
      await polling.close();
    }
  });

  it('skips messages older than a day, because an SMS that late is worse than none', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await sendWhatsapp(application, [{ status: 'sent' }], twilioSid);
    await pass(application, 25 * 60);
    await startAgain(twilioSid, {});
    await runOnce(application);
    expect(asked(application)).toEqual([]);
  });

  it('polls no message from before the installation of the service', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await application.query(
      `update messages set created_at = (select created_at - interval '1 minute' from message_poll_watermarks)
        where twilio_sid = $1`,
      [twilioSid],
    );
    await runOnce(application);
    expect(asked(application)).toEqual([]);
  });

  it('polls without the rows of an application’s table that has no index, and says so once', async () => {
    await application.query('drop index messages_created_at_idx');
    const { twilioSid } = await seedMessage(application.dataSource);
    const { sid } = await sendWhatsapp(application, [{ status: 'sent' }]);
    await pass(application, 10);
    await runOnce(application);
    await runOnce(application);
    expect(asked(application, twilioSid)).toEqual([]);
    expect(asked(application, sid)).toHaveLength(1);
    expect(lines(application, UNINDEXED)).toHaveLength(1);
    await application.query('create index on messages (created_at, id)');
    await runOnce(application);
    expect(asked(application, twilioSid)).toHaveLength(1);
  });

  it('ends promptly during a request that Twilio does not answer, and repeats it later', async () => {
    const { sid } = await sendWhatsapp(application, [{ status: 'sent' }]);
    await pass(application, 10);
    const { twilio } = application;
    twilio.failNext({ on: 'fetch', fault: { type: 'hangBeforeAccepting' } });
    const polling = await TestApplication.start({
      database,
      env: { STATUS_POLL_AFTER_MINUTES: '10', TWILIO_API_BASE_URL: twilio.baseUrl },
    });
    await until('the question', () => asked(application, sid).length === 1);
    const start = Date.now();
    await polling.close();
    expect(Date.now() - start).toBeLessThan(6_000);
    await pass(application, 20);
    await runOnce(application);
    expect(asked(application, sid)).toHaveLength(2);
  });

  it('recovers by itself after its table was missing, and says so once', async () => {
    await application.close();
    const options: StatusPollingModuleOptions = { accountSid: demoAccount.sid, intervalMilliseconds: 10 };
    application = await TestApplication.start({
      database,
      override: (builder) => builder.overrideProvider(MODULE_OPTIONS_TOKEN).useValue(options),
    });
    await application.query('alter table message_polls rename to message_polls_away');
    await until('some rounds to fail', () => lines(application, FAILING).length >= 3);
    await application.query('alter table message_polls_away rename to message_polls');
    expect(lines(application, FAILING).filter(({ level }) => level !== 'debug')).toHaveLength(1);
    const { sid } = await sendWhatsapp(application, [{ status: 'sent' }]);
    await pass(application, 10);
    await until('the question', () => asked(application, sid).length === 1);
  });
});
