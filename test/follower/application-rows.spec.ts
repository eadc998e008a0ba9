import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { MessageStatusReport } from '../../src/message-events/message-status-report.js';
import { MessageEventsStore, RECORD_MESSAGE_EVENTS } from '../../src/message-events/message-events.store.js';
import { TestApplication } from '../support/application.js';
import { follow } from '../support/following.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

/** An event with a value for each column. */
function fullReport(messageSid: string): MessageStatusReport {
  return {
    ...{ messageSid, messageStatus: 'undelivered', channel: 'sms', accountSid: 'AC1', source: 'poll' },
    ...{ toNumber: '+4915112345678', fromNumber: '+4930123456', errorCode: '30003', errorMessage: 'No' },
    ...{ payload: { MessageStatus: 'undelivered' }, smsFallbackId: FALLBACK_ID, callbackUrl: null },
    ...{ userId: 'US.13491208655302741918', parentUserId: 'US.ENT.11815799212886844830' },
  };
}

const FALLBACK_ID = randomUUID();

const PLANNER_SETTINGS = ['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'];

describe("the application's row of a message that gets a callback", () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function report(messageSid: string, status: string): Promise<void> {
    const parameters = statusParameters({ MessageSid: messageSid, MessageStatus: status });
    expect((await postCallback(application, { parameters })).status).toBe(204);
  }

  /** Resets the value to that of a new connection. */
  async function settings(): Promise<Record<string, string>> {
    const rows = await application.query<{ name: string; setting: string }>(
      'select name, current_setting(name) as setting from unnest($1::text[]) as names (name)',
      [PLANNER_SETTINGS],
    );
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
  }

  async function whereTriggerDoes(statement: string, work: () => Promise<void>): Promise<void> {
    await application.query(
      `create function refuse() returns trigger language plpgsql as $$ begin ${statement}; return new; end $$`,
    );
    await application.query(
      'create trigger refuse before update on messages for each row execute function refuse()',
    );
    try {
      await work();
    } finally {
      await application.query('drop function refuse cascade');
    }
  }

  async function statusOf(messageSid: string): Promise<unknown> {
    await follow(application);
    const [row] = await application.query('select status from messages where twilio_sid = $1', [messageSid]);
    return row?.['status'];
  }

  async function tryAgain(): Promise<void> {
    await application.query('update message_event_outbox set due_at = now()');
  }

  it.each([
    ['an exception', `raise exception 'no'`],
    ['an exception of its own class', `raise exception 'no' using errcode = 'AB123'`],
    ['a failed assertion', 'assert false'],
    ['a division by zero', 'perform 1 / 0'],
  ])(
    'holds back neither the counts nor other rows if its trigger ends with %s, and follows once that works',
    async (_, statement) => {
      const refused = await seedMessage(application.dataSource);
      const other = await seedMessage(application.dataSource, { body: 'other' });
      await whereTriggerDoes(`if new.body <> 'other' then ${statement}; end if`, async () => {
        await Promise.all([report(refused.twilioSid, 'sent'), report(other.twilioSid, 'sent')]);
        expect(await statusOf(refused.twilioSid)).toBe('queued');
        expect(await statusOf(other.twilioSid)).toBe('sent');
        expect(await application.query('select from message_event_outbox where not counted')).toEqual([]);
      });
      await tryAgain();
      expect(await statusOf(refused.twilioSid)).toBe('sent');
    },
  );

  it('follows once the lookup works again', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await application.query('alter table messages rename column twilio_sid to sid');
    try {
      await report(twilioSid, 'sent');
      await follow(application);
    } finally {
      await application.query('alter table messages rename column sid to twilio_sid');
    }
    await tryAgain();
    expect(await statusOf(twilioSid)).toBe('sent');
  });

  it.each(['varchar(34)', 'citext', 'message_sid'])('can have twilio_sid as %s', async (type) => {
    await application.query('create extension if not exists citext').catch(() => undefined);
    const [{ known } = {}] = await application.query('select to_regtype($1) is not null as known', [type]);
    if (type === 'message_sid') await application.query('create domain message_sid as text');
    else if (known !== true) return;
    await application.query(`alter table messages alter twilio_sid type ${type}`);
    try {
      const { twilioSid } = await seedMessage(application.dataSource);
      await report(twilioSid, 'read');
      expect(await statusOf(twilioSid)).toBe('read');
    } finally {
      await application.query('alter table messages alter twilio_sid type text');
    }
  });

  it.each([
    ['before', 'before update'],
    ['after', 'after update'],
  ])("has its triggers %s an update run with the planner's own settings", async (_, moment) => {
    await application.query('create table seen_settings (name text, setting text)');
    await application.query(
      `create function note_settings() returns trigger language plpgsql as $$ begin
         insert into seen_settings
         select name, current_setting(name) from unnest('{${PLANNER_SETTINGS.join(',')}}'::text[]) as names (name);
         return new;
       end $$`,
    );
    await application.query(
      `create trigger note_settings ${moment} on messages for each row execute function note_settings()`,
    );
    try {
      const { twilioSid } = await seedMessage(application.dataSource);
      await report(twilioSid, 'sent');
      await follow(application);
      const seen = await application.query<{ name: string; setting: string }>('select * from seen_settings');
      expect(Object.fromEntries(seen.map(({ name, setting }) => [name, setting]))).toEqual(await settings());
    } finally {
      await application.query('drop function note_settings cascade');
      await application.query('drop table seen_settings');
    }
  });

  it('does not decide what is kept of an event: each column is, whether the row exists or is missing', async () => {
    const store = application.app.get(MessageEventsStore);
    const unknownSid = randomMessageSid();
    const { twilioSid: knownSid } = await seedMessage(application.dataSource);
    await store.record([fullReport(unknownSid), fullReport(knownSid)], {
      isPolicyFailure: () => false,
      isWatched: () => false,
    });
    const rows = await application.query<{ kept: Record<string, unknown> }>(
      `select to_jsonb(event) - '{id,created_at,message_sid,fallback_sms_message_id}'::text[] as kept
         from message_events as event where message_sid = any ($1)`,
      [[unknownSid, knownSid]],
    );
    const [first] = rows;
    expect(rows).toEqual(Array(2).fill(first));
    expect(Object.values(first?.kept ?? {})).not.toContain(null);
  });

  // The embedded database serves one transaction at a time, so none can see what another one has replaced, and it has
  // no limit on a statement.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('costs a callback nothing: its events are added by one statement that a connection prepares once', async () => {
      await application.dataSource.transaction(async (manager) => {
        const uses = `select name, generic_plans + custom_plans as uses from pg_prepared_statements`;
        const [before] = await manager.query<{ uses: string }[]>(uses);
        const parameters = ['[]', 0];
        for (let times = 0; times < 2; times += 1) await manager.query(RECORD_MESSAGE_EVENTS, parameters);
        expect(await manager.query<unknown[]>(uses)).toEqual([
          { name: 'record_message_events', uses: String(Number(before?.uses ?? 0) + 2) },
        ]);
      });
    });

    it('holds nothing back if its triggers take longer than the limit of a statement', async () => {
      const { twilioSid } = await seedMessage(application.dataSource);
      await whereTriggerDoes('perform pg_sleep(60)', async () => {
        await report(twilioSid, 'sent');
        expect(await statusOf(twilioSid)).toBe('queued');
        expect(await application.query('select from message_event_outbox where not counted')).toEqual([]);
      });
      await tryAgain();
      expect(await statusOf(twilioSid)).toBe('sent');
    });

    it('is locked and updated by one transaction, so that it needs no multixact', async () => {
      const { twilioSid, id } = await seedMessage(application.dataSource);
      const reader = application.dataSource.createQueryRunner();
      await reader.startTransaction('REPEATABLE READ');
      try {
        await reader.query('select from messages where id = $1', [id]);
        await report(twilioSid, 'sent');
        expect(await statusOf(twilioSid)).toBe('sent');
        const [replaced] = (await reader.query('select status, xmax::text from messages where id = $1', [
          id,
        ])) as unknown[];
        const [current] = await application.query<{ xmin: string }>(
          'select xmin::text from messages where id = $1',
          [id],
        );
        // If several transactions had locked it, xmax would be the number of a multixact.
        expect(replaced).toEqual({ status: 'queued', xmax: current?.xmin });
      } finally {
        await reader.rollbackTransaction();
        await reader.release();
      }
    });
  }
});
