import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { migrateDatabase, rowProblemsOf } from '../../src/database/migrate-database.js';
import { type Problem, rowProblems } from '../../src/database/preconditions.js';
import { createEmptyDatabase, createTestDatabase, describeOnServer } from '../support/test-database.js';
import { APPLICATION_TABLES, execute } from './application-tables.js';

/** The problems after a change that is rolled back, so that one database is enough. */
async function problemsAfter(database: DatabaseConnection, change: string): Promise<readonly Problem[]> {
  const client = new Client(database.client);
  await client.connect();
  const savepoints: Readonly<Record<string, string>> = {
    begin: 'savepoint attempt',
    rollback: 'rollback to attempt',
  };
  try {
    await client.query('begin');
    await client.query(change);
    return await rowProblems(
      async <Row extends object>(sql: string, parameters?: unknown[]) =>
        (await client.query<Row>(savepoints[sql] ?? sql, parameters)).rows,
    );
  } finally {
    await client.query('rollback');
    await client.end();
  }
}

const REFUSE = `create function refuse() returns trigger language plpgsql as $$ begin
  if new.channel = 'sms' then raise exception 'no room for SMS'; end if; return new; end $$;`;

describe("an application's tables that refuse the rows of the service", () => {
  let database: DatabaseConnection;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(async () => {
    await database.close();
  });

  it.each([
    [
      'an id without a default, as Prisma has it',
      'alter table messages alter id drop default',
      'messages.id is NOT NULL without a default',
      'set default gen_random_uuid()',
    ],
    [
      'updated_at, as Rails has it',
      'alter table messages add updated_at timestamptz not null',
      'messages.updated_at is NOT NULL without a default',
      'alter column updated_at set default now()',
    ],
    [
      'a name that has to be quoted',
      'alter table messages add "updatedAt" timestamp(3) not null',
      'messages."updatedAt" is NOT NULL',
      'alter column "updatedAt" set default now()',
    ],
    [
      'a check of the channel',
      `alter table messages add constraint only_whatsapp check (channel = 'whatsapp')`,
      'the row of an SMS: the check constraint only_whatsapp of messages',
      'drop constraint only_whatsapp',
    ],
    [
      'a check of the status',
      `alter table messages add constraint known check (status in ('accepted', 'scheduled', 'queued', 'sending', 'receiving', 'sent', 'canceled'))`,
      'the status failed: the check constraint known of messages',
      'drop constraint known',
    ],
    [
      'an enum',
      `create type way as enum ('outgoing', 'incoming'); alter table messages alter direction type way using null`,
      'invalid input value for enum way: "outbound"',
      'must be text',
    ],
    [
      'a short text',
      'alter table messages alter body type varchar(160)',
      'value too long for type character varying(160)',
      'alter column body type text',
    ],
    [
      'a trigger',
      `${REFUSE} create trigger refuse before insert on messages for each row execute function refuse()`,
      'no room for SMS (PL/pgSQL function refuse() line 2',
      'triggers',
    ],
    [
      'a deferred trigger',
      `${REFUSE} create constraint trigger refuse after insert on messages deferrable initially deferred
         for each row execute function refuse()`,
      'no room for SMS',
      'triggers',
    ],
    [
      'a foreign key',
      `create table channels (name text primary key);
       alter table messages add constraint known_channel foreign key (channel) references channels`,
      'the foreign key known_channel of messages',
      'drop the constraint',
    ],
    [
      'a deferred foreign key',
      `create table channels (name text primary key); alter table messages add constraint known_channel
         foreign key (channel) references channels deferrable initially deferred`,
      'the foreign key known_channel of messages',
      'drop the constraint',
    ],
    [
      'another unique key',
      `insert into messages (direction) values ('outbound');
       alter table messages add constraint one_each unique (direction)`,
      'the unique constraint one_each of messages',
      'Only twilio_sid',
    ],
    [
      'a generated column',
      `alter table messages drop channel; alter table messages add channel text generated always as ('whatsapp') stored`,
      'generated column',
      'drop expression',
    ],
    [
      'an index that cannot be used',
      'alter table messages drop constraint messages_twilio_sid_key; create unique index on messages (twilio_sid, id)',
      'messages.twilio_sid is not unique by itself',
      'add unique (twilio_sid)',
    ],
    [
      'a deferrable key',
      `alter table messages drop constraint messages_twilio_sid_key;
       alter table messages add unique (twilio_sid) deferrable`,
      'deferrable unique constraints',
      '',
    ],
    [
      'a trigger with an SQLSTATE of its own',
      `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no tenant' using errcode = 'TN001'; end $$;
       create trigger refuse before insert on messages for each row execute function refuse()`,
      'no tenant',
      'triggers',
    ],
    [
      'a trigger that finds too many rows',
      `create function refuse() returns trigger language plpgsql as $$ begin
         new.body := (select n::text from generate_series(1, 2) as n); return new; end $$;
       create trigger refuse before insert on messages for each row execute function refuse()`,
      'more than one row',
      'triggers',
    ],
    ['an index that takes no long text', 'create index by_body on messages (body)', 'exceeds btree', ''],
    [
      'a trigger that leaves the row out',
      `create function leave_out() returns trigger language plpgsql as $$ begin return null; end $$;
       create trigger leave_out before insert on messages for each row execute function leave_out()`,
      'cannot be found by its twilio_sid',
      'trigger',
    ],
  ])('are named with %s', async (_, change, found, remedy) => {
    const [problem, ...others] = await problemsAfter(database, change);
    expect(others).toEqual([]);
    expect(problem?.check).toBe('messages');
    expect(problem?.found).toContain(found);
    expect(problem?.remedy).toContain(remedy);
  });

  it('are named with all columns at once, and accept the row after the remedy', async () => {
    const change =
      'alter table messages alter id drop default, add tenant_id bigint not null, add updated_at timestamp not null';
    const problems = await problemsAfter(database, change);
    expect(problems.map(({ found }) => found.split(' ')[0])).toEqual([
      'messages.id',
      'messages.tenant_id',
      'messages.updated_at',
    ]);
    const remedies = problems.map(({ remedy }) => remedy.split(';')[0]?.replace('…', '1'));
    expect(await problemsAfter(database, [change, ...remedies].join(';'))).toEqual([]);
  });

  it('stay as they are: the row is rolled back, and so are the writes of a trigger', async () => {
    await execute(
      database,
      `create table audit (what text); create function note() returns trigger language plpgsql as
         $$ begin insert into audit values (new.twilio_sid); return new; end $$;
       create trigger note before insert or update on messages for each row execute function note()`,
    );
    expect(await rowProblemsOf(database)).toEqual([]);
    await execute(
      database,
      `do $$ begin
      assert not exists (select from messages), 'there is a row'; assert not exists (select from audit), 'there is a note';
    end $$`,
    );
  });

  it('are not blamed for a missing conversation', async () => {
    const change = 'alter table messages alter conversation_id set not null';
    expect(await problemsAfter(database, change)).toEqual([]);
    expect(await problemsAfter(database, `${change}; insert into conversations default values`)).toEqual([]);
  });

  it('are well with an identity, more columns, and a trigger that fills required columns', async () => {
    const empty = await createEmptyDatabase();
    const withIdentity = APPLICATION_TABLES.replace(
      'bigserial primary key',
      'bigint primary key generated always as identity',
    );
    await execute(
      empty,
      withIdentity
        .replace('insert into messages (id,', 'insert into messages (')
        .replace('(9007199254740993, 1,', '(1,'),
    );
    await migrateDatabase(empty);
    await execute(
      empty,
      `alter table messages add tenant_id int; update messages set tenant_id = 1; alter table messages alter tenant_id set not null;
       create function fill() returns trigger language plpgsql as $$ begin new.tenant_id := 1; return new; end $$;
       create trigger fill before insert on messages for each row execute function fill()`,
    );
    expect(await rowProblemsOf(empty)).toEqual([]);
    await empty.close();
  });
});

describeOnServer('tables of an application under a separate role', () => {
  const role = `rows_${randomUUID().replaceAll('-', '')}`;
  let database: DatabaseConnection;
  let asRole: DatabaseConnection;

  beforeEach(async () => {
    database = await createTestDatabase();
    await execute(
      database,
      `create role ${role} login; grant select on all tables in schema public to ${role}`,
    );
    const url = new URL(database.client.connectionString ?? '');
    url.username = role;
    asRole = { ...database, client: { connectionString: url.href } };
  });

  afterEach(async () => {
    await execute(database, `drop owned by ${role} cascade; drop role ${role}`);
    await database.close();
  });

  const GRANT = `grant select, insert, update on messages to ${role}; grant select on conversations, companies to ${role}`;

  it('are named if the role can only select', async () => {
    const [problem] = await rowProblemsOf(asRole);
    expect(problem?.found).toContain('permission denied for table messages');
    expect(problem?.remedy).toContain('grant select, insert, update on messages');
    await execute(database, GRANT);
    expect(await rowProblemsOf(asRole)).toEqual([]);
  });

  it.each(['messages', 'conversations', 'companies'])(
    'are named if row-level security hides rows of %s, until a policy shows all of them',
    async (table) => {
      await execute(
        database,
        `${GRANT}; alter table ${table} enable row level security; create policy tenant on ${table} using (current_setting('app.tenant', true) = 'a')`,
      );
      const [problem] = await rowProblemsOf(asRole);
      expect(problem?.found).toBe(`Row-level security hides rows of ${table} from the role ${role}`);
      await execute(
        database,
        `create policy service on ${table} for all to ${role} using (true) with check (true)`,
      );
      expect(await rowProblemsOf(asRole)).toEqual([]);
      await execute(database, `create policy narrow on ${table} as restrictive using (false)`);
      expect(await rowProblemsOf(asRole)).toHaveLength(1);
      await execute(database, `alter role ${role} bypassrls`);
      expect(await rowProblemsOf(asRole)).toEqual([]);
    },
  );

  it('are skipped if another session has them locked', async () => {
    const client = await lockMessages(database);
    expect(await rowProblemsOf(database)).toEqual([]);
    await client.end();
  });
});

async function lockMessages(database: DatabaseConnection): Promise<Client> {
  const client = new Client(database.client);
  await client.connect();
  await client.query('begin');
  await client.query('lock table messages in access exclusive mode');
  return client;
}
