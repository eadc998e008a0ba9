import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase, rowProblemsOf } from '../../src/database/migrate-database.js';
import { openDatabase } from '../../src/database/open-database.js';
import { withDataSource } from '../support/service-database.js';
import { TestApplication } from '../support/application.js';
import { expectOneSms, policyFailure } from '../support/fallbacks.js';
import { seedMessage } from '../support/seed.js';
import { createEmptyDatabase, describeOnServer } from '../support/test-database.js';
import { APPLICATION_TABLES, execute } from './application-tables.js';

/** None of the service's tables exist. */
async function expectUntouched(database: DatabaseConnection): Promise<void> {
  await execute(
    database,
    `do $$ begin
       assert to_regclass('public.message_events') is null, 'tables';
       assert to_regclass('public.companies') is null, 'tables of the application';
       assert to_regclass('whatsapp_sms_fallback_queue.migrations') is null, 'the queue';
     end $$`,
  );
}

describe("an application's tables outside the search_path", () => {
  let database: DatabaseConnection;

  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  afterEach(async () => {
    await database.close();
  });

  it.each([
    ['in another schema', 'create schema app; create table app.messages (id int)', 'app.messages'],
    ["as Prisma's model", 'create table "Message" (id text)', 'public."Message"'],
    ['with a capital letter', 'create table "Messages" (id text)', 'public."Messages"'],
    ['as a view', 'create schema app; create view app.messages as select 1 as id', 'app.messages'],
    [
      'in part',
      'create schema app; create table app.conversations (id int); create table app.company (id int)',
      'app.company, app.conversations',
    ],
  ])('are named %s, before anything is created', async (_, tables, found) => {
    await execute(database, tables);
    const migrating = migrateDatabase(database);
    await expect(migrating).rejects.toThrow(
      `but there is ${found}: migrating would create new, empty tables`,
    );
    await expect(migrating).rejects.toThrow('npm run migrate -- --new-tables');
    await expectUntouched(database);
    expect(await migrateDatabase(database, { newTables: true })).not.toEqual([]);
    // From now on the tables exist, and nothing more is asked.
    expect(await migrateDatabase(database)).toEqual([]);
    expect(await rowProblemsOf(database)).toEqual([]);
  });

  it.each([
    [
      'a view',
      'create table stored (id uuid primary key, twilio_sid text unique); create view messages as select * from stored',
      'messages is a view',
    ],
    [
      'a materialized view',
      'create materialized view messages as select 1 as id',
      'messages is a materialized view',
    ],
    [
      'partitioned',
      'create table messages (id int, twilio_sid text, at date, primary key (id, at), unique (twilio_sid, at)) partition by range (at)',
      'messages is a partitioned table',
    ],
  ])('are named if messages is %s, before anything is created', async (_, tables, found) => {
    await execute(database, tables);
    await expect(migrateDatabase(database)).rejects.toThrow(found);
    await expect(migrateDatabase(database)).rejects.toThrow('docs/deploying.md#tables-of-the-services-own');
    await expectUntouched(database);
  });

  it('can have a composite key, and views of conversations and companies', async () => {
    await execute(database, APPLICATION_TABLES);
    await execute(
      database,
      `alter table messages drop constraint messages_pkey, add primary key (conversation_id, id);
       alter table conversations rename to stored_conversations; alter table companies rename to stored_companies;
       create view conversations as select * from stored_conversations where id > 0;
       create view companies as select * from stored_companies where false`,
    );
    expect(await migrateDatabase(database)).not.toEqual([]);
    expect(await rowProblemsOf(database)).toEqual([]);
  });
});

describeOnServer('a schema in DATABASE_URL', () => {
  const role = `schema_${randomUUID().replaceAll('-', '')}`;
  let database: DatabaseConnection;

  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  afterEach(async () => {
    await database.close();
  });

  function url(query: string, user?: string): string {
    const result = new URL(database.client.connectionString ?? '');
    if (user !== undefined) result.username = user;
    return `${result.href}?${query}`;
  }

  const open = (DATABASE_URL: string) => openDatabase({ DATABASE_URL, EMBEDDED_DATA_DIR: '' });

  it.each(['schema', 'search_path', 'currentSchema', 'schema_search_path'])(
    'is refused as %s, with an alternative that works',
    async (name) => {
      const opening = open(url(`connect_timeout=5&${name}=App`));
      await expect(opening).rejects.toThrow(`DATABASE_URL has ${name}=App, which node-postgres ignores`);
      await expect(opening).rejects.toThrow('options=-c%20search_path%3D%22App%22 instead');
    },
  );

  it("is accepted if it is the default schema, as in Prisma's URLs", async () => {
    expect(await open(url('schema=public'))).toMatchObject({ embedded: false });
  });

  it('is refused if it is on the search_path and does not exist', async () => {
    await expect(open(url('options=-c%20search_path%3Dmissing'))).rejects.toThrow(
      'No schema of the search_path (missing) exists',
    );
  });

  async function expectToWork(connection: DatabaseConnection): Promise<void> {
    await migrateDatabase(connection);
    const application = await TestApplication.start({ database: connection });
    try {
      const { twilioSid } = await seedMessage(application.dataSource);
      await policyFailure(application, twilioSid);
      await expectOneSms(application, twilioSid);
      expect(
        await application.query(`select table_schema as schema from information_schema.tables
          where table_name in ('messages', 'message_events', 'sms_fallbacks', 'whatsapp_sms_fallback_migrations')`),
      ).toEqual(Array(4).fill({ schema: 'App' }));
    } finally {
      await application.close();
    }
  }

  it('works as the search_path in options: every table of the service, and the whole fallback', async () => {
    await execute(database, 'create schema "App"');
    await expectToWork(await open(url('options=-c%20search_path%3D%22App%22')));
  });

  it("works as the role's search_path", async () => {
    const name = new URL(database.client.connectionString ?? '').pathname.slice(1);
    await execute(
      database,
      `create role ${role} login; create schema "App" authorization ${role}; grant create on database ${name} to ${role};
       alter role ${role} set search_path = "App"`,
    );
    try {
      await expectToWork(await open(url('schema=App', role)));
    } finally {
      await execute(database, `drop owned by ${role} cascade; drop role ${role}`);
    }
  });

  it('can hold the service’s own tables, into which those of the application are copied', async () => {
    await execute(
      database,
      `create table messages (tenant_id int, id bigint, twilio_sid text, body text, sent_at timestamptz not null default now(),
         primary key (tenant_id, id)) partition by list (tenant_id);
       create table messages_1 partition of messages for values in (1);
       create schema sms_fallback`,
    );
    const connection = await open(url('options=-c%20search_path%3Dsms_fallback'));
    await migrateDatabase(connection, { newTables: true });
    await execute(database, COPY);
    const application = await TestApplication.start({ database: connection });
    try {
      const sid = `SM${randomUUID().replaceAll('-', '')}`;
      await execute(
        database,
        `insert into messages (tenant_id, id, twilio_sid, body) values (1, 1, '${sid}', 'See you at ten')`,
      );
      await policyFailure(application, sid);
      await expectOneSms(application, sid);
      expect(application.twilio.messages.at(-1)?.body).toBe('See you at ten');
    } finally {
      await application.close();
    }
    await withDataSource(connection, async (dataSource) => {
      expect(await dataSource.query('select channel from messages order by channel')).toEqual([
        { channel: 'sms' },
        { channel: 'whatsapp' },
      ]);
    });
  });
});

/** The statements of docs/deploying.md. */
const COPY = `
create function sms_fallback.copy_message() returns trigger language plpgsql
  security definer set search_path = sms_fallback, pg_temp as $$
begin
  insert into sms_fallback.messages (twilio_sid, direction, channel, body, created_at)
  values (new.twilio_sid, 'outbound', 'whatsapp', new.body, new.sent_at)
  on conflict (twilio_sid) do nothing;
  return null;
end $$;
create trigger copy_message after insert or update of twilio_sid on messages
  for each row when (new.twilio_sid is not null) execute function sms_fallback.copy_message();`;
