import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { MessageStatusReport } from '../../src/message-events/message-status-report.js';
import { MessageEventsStore } from '../../src/message-events/message-events.store.js';
import { recordMessageEvents } from '../../src/message-events/record-message-events.js';
import { TestApplication } from '../support/application.js';
import { runWaitingJobs } from '../support/job-queue.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

function eventRow() {
  const event = { id: randomUUID(), message_sid: randomMessageSid(), message_status: 'sent' };
  return { ...event, channel: 'whatsapp', account_sid: 'AC1', payload: {}, source: 'callback' };
}

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

  /** The event is in the log, and its message's row does not follow. */
  async function expectEventWhereTriggerDoes(statement: string): Promise<void> {
    await whereTriggerDoes(statement, async () => {
      const { twilioSid } = await seedMessage(application.dataSource);
      await report(twilioSid, 'sent');
      expect(
        await application.query('select message_id from message_events where message_sid = $1', [twilioSid]),
      ).toEqual([{ message_id: null }]);
    });
  }

  it.each([
    ['an exception', `raise exception 'no'`],
    ['a failed assertion', 'assert false'],
    ['a division by zero', 'perform 1 / 0'],
  ])('cannot undo the log if its trigger ends with %s', async (_, statement) => {
    await expectEventWhereTriggerDoes(statement);
  });

  it('cannot undo the log if the lookup fails, and follows once that works', async () => {
    const { twilioSid, id } = await seedMessage(application.dataSource);
    const links = () =>
      application.query('select message_id from message_events where message_sid = $1', [twilioSid]);
    await application.query('alter table messages rename column twilio_sid to sid');
    try {
      await report(twilioSid, 'sent');
    } finally {
      await application.query('alter table messages rename column sid to twilio_sid');
    }
    expect(await links()).toEqual([{ message_id: null }]);
    await until('the row to follow its event', async () => {
      await runWaitingJobs(application);
      return isDeepStrictEqual(await links(), [{ message_id: id }]);
    });
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
      const seen = await application.query<{ name: string; setting: string }>('select * from seen_settings');
      expect(Object.fromEntries(seen.map(({ name, setting }) => [name, setting]))).toEqual(await settings());
    } finally {
      await application.query('drop function note_settings cascade');
      await application.query('drop table seen_settings');
    }
  });

  it('costs the events of other messages no transaction id besides the one of the commit', async () => {
    const row = eventRow();
    await application.dataSource.transaction(async (manager) => {
      const { added } = await recordMessageEvents(manager, [row], new Set([row.message_sid]));
      expect(added).toEqual(new Set([row.id]));
      const ids = await manager.query<unknown[]>(
        'select xmin = pg_current_xact_id()::xid as is_the_same from message_events where id = $1',
        [row.id],
      );
      expect(ids).toEqual([{ is_the_same: true }]);
    });
  });

  it('is linked to its event, and its neighbor in the group to none if that has no row', async () => {
    const { twilioSid, id } = await seedMessage(application.dataSource);
    const reports = [fullReport(twilioSid), fullReport(randomMessageSid())];
    const stored = await application.app.get(MessageEventsStore).record(reports, () => false);
    expect(stored.map(({ repeated, unlinked }) => ({ repeated, unlinked }))).toEqual(
      Array(2).fill({ repeated: false, unlinked: false }),
    );
    const links = await application.query(
      'select message_id from message_events where id = any ($1) order by id',
      [stored.map((event) => event.id)],
    );
    expect(links).toEqual([{ message_id: id }, { message_id: null }]);
  });

  it('does not decide what is kept of an event: each column is, whether the row exists, is missing, or is refused', async () => {
    const store = application.app.get(MessageEventsStore);
    const unknownSid = randomMessageSid();
    const { twilioSid: knownSid } = await seedMessage(application.dataSource);
    const { twilioSid: refusedSid } = await seedMessage(application.dataSource);
    for (const sid of [unknownSid, knownSid]) await store.record([fullReport(sid)], () => false);
    await whereTriggerDoes(`raise exception 'no'`, async () => {
      const [event] = await store.record([fullReport(refusedSid)], () => false);
      expect(event?.unlinked).toBe(true);
    });
    const rows = await application.query<{ kept: Record<string, unknown> }>(
      `select to_jsonb(event) - '{id,created_at,message_sid,message_id,fallback_sms_message_id}'::text[] as kept
         from message_events as event where message_sid = any ($1)`,
      [[unknownSid, knownSid, refusedSid]],
    );
    const [first] = rows;
    expect(rows).toEqual(Array(3).fill(first));
    expect(Object.values(first?.kept ?? {})).not.toContain(null);
  });

  // The embedded database serves one transaction at a time, so none can see what another one has replaced, and it has
  // no limit on a statement.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('is looked up by a statement that a connection prepares once', async () => {
      await application.dataSource.transaction(async (manager) => {
        const uses = `select name, generic_plans + custom_plans as uses from pg_prepared_statements`;
        const [before] = await manager.query<{ uses: string }[]>(uses);
        for (const row of [eventRow(), eventRow()]) await recordMessageEvents(manager, [row], new Set());
        expect(await manager.query<unknown[]>(uses)).toEqual([
          { name: 'record_message_events', uses: String(Number(before?.uses ?? 0) + 2) },
        ]);
      });
    });

    it('cannot undo the log if its triggers take longer than the limit of a statement', async () => {
      await expectEventWhereTriggerDoes('perform pg_sleep(60)');
    });

    it('is locked and updated by one transaction, so that it needs no multixact', async () => {
      const { twilioSid, id } = await seedMessage(application.dataSource);
      const reader = application.dataSource.createQueryRunner();
      await reader.startTransaction('REPEATABLE READ');
      try {
        await reader.query('select from messages where id = $1', [id]);
        await report(twilioSid, 'sent');
        const [replaced] = (await reader.query('select status, xmax::text from messages where id = $1', [
          id,
        ])) as unknown[];
        const [current] = await application.query<{ status: string; xmin: string }>(
          'select status, xmin::text from messages where id = $1',
          [id],
        );
        expect(current?.status).toBe('sent');
        // If several transactions had locked it, xmax would be the number of a multixact.
        expect(replaced).toEqual({ status: 'queued', xmax: current?.xmin });
      } finally {
        await reader.rollbackTransaction();
        await reader.release();
      }
    });
  }
});
