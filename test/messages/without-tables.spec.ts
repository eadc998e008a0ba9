import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { smsStatusParameters } from '../../simulator/callback-parameters.js';
import { delivered, silent } from '../../simulator/callback-plan.js';
import { demoAccount } from '../../simulator/demo-account.js';
import { migrations, migrationsFor } from '../../migrations/migrations.js';
import { runDoctor } from '../../src/commands/doctor.js';
import type { Finding } from '../../src/commands/finding.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';
import { runCommand } from '../commands/run-command.js';
import { APPLICATION_TABLES, execute } from '../database/application-tables.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { asked, runOnce } from '../status-polling/polling.js';
import { TestApplication } from '../support/application.js';
import {
  attemptsFor,
  DEFAULT_FROM,
  expectOneSms,
  findFallback,
  policyFailure,
  recipientOf,
  smsFor,
  untilAllIsDone,
  whatsappStatus,
  withFallbackOptions,
} from '../support/fallbacks.js';
import { follow } from '../support/following.js';
import { minutesAgo } from '../support/minutes-ago.js';
import { withDataSource } from '../support/service-database.js';
import { randomMessageSid } from '../support/seed.js';
import { createEmptyDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const TEXT = 'Your appointment is tomorrow at 10:00.';

const env = { ORIGINAL_MESSAGES: 'twilio', TWILIO_PHONE_NUMBER_REMINDERS: DEFAULT_FROM, ...withAdminKeys };

/** Relations of somebody else, which have the same names by chance. */
const FOREIGN_TABLES = `
  create table companies (id serial primary key, revenue numeric not null);
  create table conversations (topic text primary key);
  create table messages (id integer primary key, twilio_sid jsonb not null, body bytea, created_at date);
  insert into companies (revenue) values (12.5);
  insert into messages values (1, '{}', null, '2020-01-01');
`;

/** Any statement that reads them fails. */
const UNREADABLE_VIEWS = `
  create function forbidden() returns setof integer language plpgsql volatile as
    $$ begin raise exception 'this must not be read'; end $$;
  create view companies as select * from forbidden();
  create view conversations as select * from forbidden();
  create view messages as select * from forbidden();
`;

const RELATIONS = `
  select relname::text as name, relkind::text as kind from pg_class
   where relname in ('companies', 'conversations', 'messages') and relnamespace = 'public'::regnamespace order by 1`;

describe.each([
  ['that has no tables messages, conversations, and companies', '', []],
  ['with tables of these names that belong to somebody else', FOREIGN_TABLES, ['r', 'r', 'r']],
  ['with relations of these names that cannot be read', UNREADABLE_VIEWS, ['v', 'v', 'v']],
])('ORIGINAL_MESSAGES=twilio on a database %s', (_, foreign, kinds) => {
  let database: DatabaseConnection;
  let connection: DatabaseConnection;
  let application: TestApplication;
  let applied: string[];

  beforeAll(async () => {
    database = await createEmptyDatabase();
    if (foreign !== '') await execute(database, foreign);
    connection = { ...database, applicationTables: false };
    applied = await migrateDatabase(connection);
    application = await TestApplication.start({
      database: connection,
      env,
      override: withFallbackOptions({ resendDelayMilliseconds: 0 }),
    });
  });

  afterAll(async () => {
    await application.close();
    await database.close();
  });

  /** A WhatsApp message that Twilio has, as its API returns it. */
  function sentByTwilio(message: { readonly body?: string; readonly dateSent?: Date } = {}): string {
    const sid = randomMessageSid();
    application.twilio.addMessage({ sid, to: `whatsapp:${recipientOf(sid)}`, body: TEXT, ...message });
    return sid;
  }

  async function fallBack(sid: string) {
    await policyFailure(application, sid);
    return untilAllIsDone(application, sid);
  }

  it('migrates it without touching them, and changes nothing the second time', async () => {
    expect(applied).toEqual(migrationsFor({ applicationTables: false }).map(({ name }) => name));
    expect(applied).toHaveLength(migrations.length - 2);
    expect(await migrateDatabase(connection)).toEqual([]);
    expect((await application.query(RELATIONS)).map(({ kind }) => kind)).toEqual(kinds);
    await withDataSource(connection, async (dataSource) => {
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      expect(upQueries.map(({ query }) => query)).toEqual([]);
    });
  });

  it('sends one SMS with the text at Twilio from the default number, for one GET', async () => {
    const sid = sentByTwilio();
    await policyFailure(application, sid);
    await policyFailure(application, sid, { status: 'failed' });
    const fallback = await expectOneSms(application, sid);
    expect(smsFor(application, sid)).toMatchObject([{ from: DEFAULT_FROM, body: TEXT }]);
    expect(fallback).toMatchObject({ conversationId: null, messageId: null, lastError: null });
    expect(fallback.smsDeliveredAt).not.toBeNull();
    expect(asked(application, sid)).toHaveLength(1);
  });

  it('sends a template as Twilio rendered it', async () => {
    const sid = sentByTwilio({ body: '*Hi Ada*, your order 4711 has shipped.' });
    await fallBack(sid);
    expect(smsFor(application, sid)).toMatchObject([{ body: 'Hi Ada, your order 4711 has shipped.' }]);
  });

  it('sends to the number that an earlier event names for a WhatsApp user ID', async () => {
    const [earlier, sid] = [sentByTwilio(), sentByTwilio()];
    const userId = 'whatsapp:US.13491208655302741918';
    await whatsappStatus(application, earlier, { status: 'delivered', extra: { ExternalUserId: userId } });
    await policyFailure(application, sid, { to: userId });
    expect(await untilAllIsDone(application, sid)).toMatchObject({
      state: 'sent',
      toNumber: recipientOf(earlier),
    });
    expect(smsFor(application, earlier)).toMatchObject([{ body: TEXT }]);
  });

  it('skips a message whose text is redacted', async () => {
    const sid = sentByTwilio();
    application.twilio.redaction = 'bodies';
    try {
      expect(await fallBack(sid)).toMatchObject({ state: 'skipped', reason: 'no_text', attempts: 0 });
    } finally {
      application.twilio.redaction = 'none';
    }
    expect(attemptsFor(application, sid)).toEqual([]);
  });

  it('skips a message that was deleted at Twilio, at once and with the reason', async () => {
    const sid = randomMessageSid();
    expect(await fallBack(sid)).toMatchObject({
      state: 'skipped',
      reason: 'original_message_deleted',
      attempts: 0,
    });
    const { body } = await callApi(application, `/api/v1/messages/${sid}`);
    expect(body['decision']).toContain('Twilio no longer has the message');
  });

  it('sends the SMS when Twilio is back', async () => {
    const sid = sentByTwilio();
    let isAway = true;
    application.twilio.failNext({
      on: 'fetch',
      times: Infinity,
      when: () => isAway,
      fault: { type: 'error', status: 503, code: 20503 },
    });
    await policyFailure(application, sid);
    await until('a request in vain', async () => {
      const fallback = await findFallback(application, sid);
      return fallback?.reason === 'twilio_unavailable' && fallback.lockedUntil === null;
    });
    isAway = false;
    expect(await expectOneSms(application, sid)).toMatchObject({ attempts: 1 });
  });

  it('measures the age from the sending time at Twilio', async () => {
    const sid = sentByTwilio({ dateSent: minutesAgo(241) });
    expect(await fallBack(sid)).toMatchObject({ state: 'skipped', reason: 'too_late' });
    const young = sentByTwilio({ dateSent: minutesAgo(239) });
    expect(await fallBack(young)).toMatchObject({ state: 'sent' });
  });

  it('sends nothing for a message that WhatsApp has delivered, without a request', async () => {
    const sid = sentByTwilio();
    await whatsappStatus(application, sid, { status: 'delivered' });
    expect(await fallBack(sid)).toMatchObject({ state: 'skipped', reason: 'delivered_meanwhile' });
    expect(asked(application, sid)).toEqual([]);
  });

  it('finds the SMS of a late failure that the database has forgotten, instead of sending another', async () => {
    application.twilio.callbackPlan = silent;
    const sid = sentByTwilio({ dateSent: minutesAgo(5) });
    const { smsMessageSid } = await fallBack(sid);
    await application.query('delete from sms_fallbacks where original_message_sid = $1', [sid]);
    await application.query('delete from message_events where message_sid = $1', [sid]);
    expect(await fallBack(sid)).toMatchObject({ state: 'sent', smsMessageSid, attempts: 0 });
    expect(attemptsFor(application, sid)).toHaveLength(1);
    application.twilio.callbackPlan = delivered;
  });

  it('finds an SMS whose sending was not answered, instead of sending another', async () => {
    application.twilio.callbackPlan = silent;
    const sid = sentByTwilio();
    application.twilio.failNext({ on: 'create', fault: { type: 'resetAfterAccepting' } });
    await policyFailure(application, sid);
    await expectOneSms(application, sid);
    expect(attemptsFor(application, sid)).toHaveLength(1);
    application.twilio.callbackPlan = delivered;
  });

  it('sends an SMS again, once, that was accepted and never sent', async () => {
    application.twilio.callbackPlan = silent;
    const sid = sentByTwilio();
    await fallBack(sid);
    application.twilio.callbackPlan = delivered;
    const [first] = smsFor(application, sid);
    const { statusCallback: url = '', sid: messageSid = '', from = '' } = first ?? {};
    const parameters = smsStatusParameters({
      ...{ messageSid, from, to: recipientOf(sid) },
      status: 'failed',
      errorCode: 30001,
    });
    expect(await application.twilio.sendCallback({ url, parameters })).toMatchObject({ status: 204 });
    await until('the second SMS', () => smsFor(application, sid).length === 2);
    expect(await untilAllIsDone(application, sid)).toMatchObject({ state: 'sent', messageId: null });
    expect(smsFor(application, sid)).toMatchObject([{ body: TEXT }, { body: TEXT }]);
  });

  it('asks Twilio about a message whose last callback did not come', async () => {
    const sid = sentByTwilio();
    await whatsappStatus(application, sid, { status: 'sent' });
    await follow(application);
    await application.query('update message_polls set next_poll_at = now() where message_sid = $1', [sid]);
    await runOnce(application);
    expect(asked(application, sid)).toHaveLength(1);
  });

  it('follows every event', async () => {
    const sid = sentByTwilio();
    await fallBack(sid);
    await follow(application);
    expect(await application.query('select * from message_event_outbox')).toEqual([]);
  });

  it('shows the journey, finds people, and serves the rest of the API', async () => {
    const sid = sentByTwilio();
    const { smsMessageSid } = await fallBack(sid);
    const journey = await callApi(application, `/api/v1/messages/${sid}`);
    expect(journey).toMatchObject({
      status: 200,
      body: {
        companyId: null,
        decision: expect.stringContaining('63049 on WhatsApp → SMS'),
        counterpart: { messageSid: smsMessageSid },
      },
    });
    const found = await callApi<{ items: { messageSid: string }[] }>(
      application,
      '/api/v1/message-events/search',
      { method: 'POST', body: { number: recipientOf(sid) } },
    );
    expect(found.body.items.map(({ messageSid }) => messageSid)).toContain(sid);
    expect(await callApi(application, `/api/v1/messages/${randomMessageSid()}`)).toMatchObject({
      status: 404,
    });
    expect(await callApi(application, '/api/v1/message-events?company=1')).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('ORIGINAL_MESSAGES is twilio') },
    });
    for (const path of ['fallbacks', 'stats', 'queue', 'rejected-callbacks', 'error-codes']) {
      expect(await callApi(application, `/api/v1/${path}`)).toMatchObject({ status: 200 });
    }
    for (const path of ['/metrics', '/health/ready', '/dashboard']) {
      expect(await callApi(application, path)).toMatchObject({ status: 200 });
    }
  });

  it('can be examined, erased, and replayed', async () => {
    const sid = sentByTwilio();
    await fallBack(sid);
    const replay = await runCommand(connection, 'replay', ['--since', '1h', '--dry-run']);
    expect(replay).toMatchObject({ exitCode: 0 });
    const erase = await runCommand(connection, 'erase', ['--number', recipientOf(sid), '--yes']);
    expect(erase).toMatchObject({ exitCode: 0, output: expect.stringContaining('1 fallback') });
    expect(await findFallback(application, sid)).toMatchObject({ state: 'sent', toNumber: null, body: null });

    const printed: string[] = [];
    const patient = {
      variables: {
        TWILIO_ACCOUNT_SID: demoAccount.sid,
        TWILIO_AUTH_TOKEN: demoAccount.authToken,
        TWILIO_API_BASE_URL: application.twilio.baseUrl,
        ...env,
      },
      openDatabase: () => Promise.resolve({ ...connection, close: () => Promise.resolve() }),
    };
    await runDoctor({ json: true }, patient, { print: (text) => printed.push(text) });
    const findings = JSON.parse(printed.join('\n')) as Finding[];
    expect(findings.filter(({ check }) => check === 'messages')).toEqual([
      {
        check: 'messages',
        ok: true,
        found: 'the tables of the application are not used (ORIGINAL_MESSAGES=twilio)',
        advice: null,
      },
    ]);
    expect(findings.filter(({ ok }) => !ok).map(({ check }) => check)).toEqual([
      'sender number',
      'public URL',
    ]);
  });

  it('starts without a warning, and has left the relations as they were', async () => {
    expect(JSON.stringify(application.logs.lines)).not.toMatch(
      /must not be read|does not exist|messages does/,
    );
    if (kinds[0] !== 'r') return;
    expect(await application.query('select * from messages')).toMatchObject([{ id: 1, twilio_sid: {} }]);
    expect(await application.query('select revenue from companies')).toEqual([{ revenue: '12.5' }]);
    expect(await application.query('select * from conversations')).toEqual([]);
    expect(await application.query(`select indexname from pg_indexes where tablename = 'messages'`)).toEqual([
      { indexname: 'messages_pkey' },
    ]);
  });
});

describe('a change from ORIGINAL_MESSAGES=twilio to tables', () => {
  let database: DatabaseConnection;

  beforeAll(async () => {
    database = await createEmptyDatabase();
  });

  afterAll(() => database.close());

  async function withApplication<Result>(
    variables: Readonly<Record<string, string>>,
    work: (application: TestApplication) => Promise<Result>,
  ): Promise<Result> {
    const application = await TestApplication.start({ database, env: { ...env, ...variables } });
    try {
      return await work(application);
    } finally {
      await application.close();
    }
  }

  it('takes a migration, gives the links the type of messages.id, and can be undone', async () => {
    await migrateDatabase({ ...database, applicationTables: false });
    const viaTwilio = async (application: TestApplication) => {
      const sid = randomMessageSid();
      application.twilio.addMessage({ sid, to: `whatsapp:${recipientOf(sid)}`, body: TEXT });
      await policyFailure(application, sid);
      await expectOneSms(application, sid);
      return sid;
    };
    const first = await withApplication({}, viaTwilio);

    await execute(database, APPLICATION_TABLES);
    const names = ['CreateApplicationTables1795996799999', 'LinkApplicationTables1795996800004'];
    await expect(withApplication({ ORIGINAL_MESSAGES: 'tables' }, () => Promise.resolve())).rejects.toThrow(
      `The database is not migrated: ${names.join(', ')} are missing.\nRun: npm run migrate`,
    );
    expect(await migrateDatabase(database)).toEqual(names);
    expect(await migrateDatabase(database)).toEqual([]);

    await withApplication({ ORIGINAL_MESSAGES: 'tables' }, async (application) => {
      // Only messages from now on are searched for lost callbacks.
      const [watermark] = await application.query<{ isNew: boolean }>(
        `select created_at > now() - interval '1 minute' as "isNew" from message_poll_watermarks`,
      );
      expect(watermark).toEqual({ isNew: true });
      await application.query('alter table messages alter conversation_id drop not null');
      const sid = randomMessageSid();
      await application.query(
        `insert into messages (twilio_sid, direction, channel, body) values ($1, 'outbound', 'whatsapp', 'From messages')`,
        [sid],
      );
      await policyFailure(application, sid);
      const { smsMessageSid, messageId } = await expectOneSms(application, sid);
      expect(smsFor(application, sid)).toMatchObject([{ body: 'From messages' }]);
      expect(
        await application.query('select id from messages where twilio_sid = $1', [smsMessageSid]),
      ).toEqual([{ id: messageId }]);
      expect(messageId).toMatch(/^\d+$/);
      // The message from before keeps its SMS.
      await policyFailure(application, first, { status: 'failed' });
      expect(await untilAllIsDone(application, first)).toMatchObject({ state: 'sent' });
      expect(attemptsFor(application, first)).toEqual([]);
    });

    await withApplication({}, viaTwilio);
  });

  it('is refused with a remedy if the tables are somebody else’s, and twilio goes on', async () => {
    const other = await createEmptyDatabase();
    try {
      const twilio = { ...other, applicationTables: false };
      await execute(other, FOREIGN_TABLES);
      await migrateDatabase(twilio);
      await expect(migrateDatabase(other)).rejects.toThrow(
        "the application's tables lack columns that the service needs: companies.name",
      );
      expect(await migrateDatabase(twilio)).toEqual([]);
      const application = await TestApplication.start({ database: twilio, env });
      await application.close();
    } finally {
      await other.close();
    }
  });
});

describe('ORIGINAL_MESSAGES=twilio with a Messaging Service', () => {
  it('sends through it', async () => {
    const database = await createEmptyDatabase();
    const connection = { ...database, applicationTables: false };
    await migrateDatabase(connection);
    const application = await TestApplication.start({
      database: connection,
      env: {
        ORIGINAL_MESSAGES: 'twilio',
        TWILIO_PHONE_NUMBER_REMINDERS: undefined,
        TWILIO_MESSAGING_SERVICE_SID: 'MG0123456789',
      },
    });
    try {
      const sid = randomMessageSid();
      application.twilio.addMessage({ sid, to: `whatsapp:${recipientOf(sid)}`, body: TEXT });
      await policyFailure(application, sid);
      await expectOneSms(application, sid);
      expect(smsFor(application, sid)).toMatchObject([{ messagingServiceSid: 'MG0123456789', body: TEXT }]);
    } finally {
      await application.close();
      await database.close();
    }
  });
});
