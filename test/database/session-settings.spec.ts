import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { type DatabaseConnection, postgresServer } from '../../src/database/database-connection.js';
import { TestApplication } from '../support/application.js';
import { expectOneSms, policyFailure } from '../support/fallbacks.js';
import { PgBouncer, withoutPgBouncer } from '../support/pgbouncer.js';
import { seedMessage } from '../support/seed.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';
import { execute } from './application-tables.js';

jest.setTimeout(120_000);

/** Each setting would break something if the service kept it. */
const HOSTILE = {
  client_encoding: 'LATIN1',
  datestyle: 'SQL, DMY',
  intervalstyle: 'sql_standard',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  array_nulls: 'off',
  transform_null_equals: 'on',
  quote_all_identifiers: 'on',
  timezone: 'Asia/Kathmandu',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  row_security: 'off',
  exit_on_error: 'on',
  lock_timeout: '1',
  statement_timeout: '50',
  idle_in_transaction_session_timeout: '1',
  idle_session_timeout: '1500',
  synchronous_commit: 'off',
  jit_above_cost: '0',
  'plpgsql.extra_errors': 'all',
} as const;

describeOnServer('a session with settings that the service cannot use', () => {
  const role = `hostile_${randomUUID().replaceAll('-', '')}`;
  let database: DatabaseConnection;
  let application: TestApplication | undefined;

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await application?.close();
    application = undefined;
    await execute(database, `drop owned by ${role} cascade; drop role ${role}`).catch(() => undefined);
    await database.close();
  });

  function url(): URL {
    return new URL(String(database.client.connectionString));
  }

  /** @param where the settings are, as in "alter …". */
  async function makeHostile(where: string, settings: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, value] of Object.entries(settings)) {
      const values = name === 'datestyle' ? value : `'${value}'`;
      await execute(database, `alter ${where} set ${name} = ${values}`);
    }
  }

  async function startAs(user: string): Promise<TestApplication> {
    const hostile = url();
    hostile.username = user;
    application = await TestApplication.start({ database: postgresServer(hostile.href) });
    return application;
  }

  /** The whole path from the callback to the SMS. */
  async function expectTheMainJob(service: TestApplication): Promise<void> {
    const body = 'Grüße 👋 – your order \\ has shipped';
    const { twilioSid } = await seedMessage(service.dataSource, { body });
    await policyFailure(service, twilioSid);
    await expectOneSms(service, twilioSid);
    expect(service.twilio.messages.map((message) => message.body)).toEqual([body]);
    const [row] = await service.query(
      `select created_at, payload->>'MessageStatus' as status from message_events where message_sid = $1`,
      [twilioSid],
    );
    expect(row).toMatchObject({ status: 'undelivered' });
    expect(Math.abs(Date.now() - Number(row?.created_at))).toBeLessThan(60_000);
  }

  it('overrides the settings of its role: the whole path works', async () => {
    await execute(database, `create role ${role} superuser login`);
    await makeHostile(`role ${role}`, { ...HOSTILE, default_transaction_read_only: 'on' });
    const service = await startAs(role);
    await expectTheMainJob(service);
    expect(await service.query('show synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
    expect(await service.query('show timezone')).toEqual([{ TimeZone: HOSTILE.timezone }]);
  });

  it('overrides the settings of its database: the whole path works', async () => {
    await makeHostile(`database ${url().pathname.slice(1)}`, HOSTILE);
    await expectTheMainJob(await startAs(url().username));
  });

  it.each(['remote_apply', 'remote_write', 'local'])('keeps synchronous_commit = %s', async (value) => {
    await makeHostile(`database ${url().pathname.slice(1)}`, { synchronous_commit: value });
    const service = await startAs(url().username);
    expect(await service.query('show synchronous_commit')).toEqual([{ synchronous_commit: value }]);
  });

  it('keeps the search_path of the role', async () => {
    await execute(database, `create role ${role} superuser login; create schema elsewhere`);
    await makeHostile(`role ${role}`, { search_path: 'public' });
    await execute(database, `alter role ${role} set search_path = elsewhere, public`);
    const service = await startAs(role);
    expect(await service.query('show search_path')).toEqual([{ search_path: 'elsewhere, public' }]);
  });
});

const describeWithPgBouncer = withoutPgBouncer === undefined ? describe : describe.skip;

describeWithPgBouncer('PgBouncer in session mode, without settings for the service', () => {
  let pooler: PgBouncer;
  let database: DatabaseConnection;
  let application: TestApplication | undefined;

  beforeEach(async () => {
    database = await createTestDatabase();
    const settings = { pool_mode: 'session', default_pool_size: 40 };
    pooler = await PgBouncer.start(String(database.client.connectionString), settings);
  });

  afterEach(async () => {
    await application?.close();
    await pooler.close();
    await database.close();
  });

  it('works along the whole path, with the settings of the service', async () => {
    application = await TestApplication.start({ database: postgresServer(pooler.url) });
    expect(await application.query('show statement_timeout')).toEqual([{ statement_timeout: '3s' }]);
    const { twilioSid } = await seedMessage(application.dataSource);
    await policyFailure(application, twilioSid);
    await expectOneSms(application, twilioSid);
  });
});
