import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { STATUSES_BY_RANK } from '../../src/messages/message-status.js';
import { MessageEventsService } from '../../src/message-events/message-events.service.js';
import { TestApplication } from '../support/application.js';
import { follow } from '../support/following.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

describe("a message's row", () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(async () => {
    await application.close();
  });

  async function report(messageSid: string, ...statuses: string[]): Promise<void> {
    for (const status of statuses) {
      const parameters = statusParameters({ MessageSid: messageSid, MessageStatus: status });
      expect((await postCallback(application, { parameters })).status).toBe(204);
    }
  }

  async function statusOf(messageSid: string): Promise<string | null | undefined> {
    await follow(application);
    const [row] = await application.query<{ status: string | null }>(
      'select status from messages where twilio_sid = $1',
      [messageSid],
    );
    return row?.status;
  }

  function waiting(messageSid: string) {
    return application.query<{ tries: number }>(
      'select tries from message_event_outbox where message_sid = $1',
      [messageSid],
    );
  }

  /** Makes everything due that is to be tried again. */
  async function tryAgain(): Promise<void> {
    await application.query('update message_event_outbox set due_at = now()');
  }

  it('follows a callback within about a second by itself', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await report(twilioSid, 'delivered');
    const at = Date.now();
    await until('the row to follow', async () => {
      const rows = await application.query(
        `select from messages where twilio_sid = $1 and status = 'delivered'`,
        [twilioSid],
      );
      return rows.length === 1;
    });
    // A generous bound for a slow machine: without the follower nothing would happen at all.
    expect(Date.now() - at).toBeLessThan(20_000);
  });

  it.each([
    ['sent', ['sent'], 'queued'],
    ['read', ['sent', 'delivered', 'read'], 'queued'],
    ['delivered', ['delivered', 'sent'], 'queued'],
    ['read', ['read', 'delivered', 'sent', 'queued'], null],
    ['delivered', ['failed', 'delivered'], 'sent'],
    ['delivered', ['delivered', 'failed'], 'sent'],
    ['undelivered', ['undelivered', 'failed'], 'accepted'],
    ['sent', ['sent'], "the application's own word"],
    ['delivered', ['sent'], 'delivered'],
  ])('has the status %s after the callbacks %j, if it was %s', async (status, statuses, before) => {
    const { twilioSid } = await seedMessage(application.dataSource, { status: before });
    await report(twilioSid, ...statuses);
    expect(await statusOf(twilioSid)).toBe(status);
  });

  it.each(['sent', null, "the application's own word"])(
    'keeps its status %s when an unknown status comes',
    async (before) => {
      const { twilioSid } = await seedMessage(application.dataSource, { status: before });
      await report(twilioSid, 'teleported');
      expect(await statusOf(twilioSid)).toBe(before);
    },
  );

  it('ends with the same status, whatever the order of the callbacks', async () => {
    const order = fc.shuffledSubarray([...STATUSES_BY_RANK, 'teleported'], { minLength: 3, maxLength: 6 });
    const together = fc.boolean();
    await fc.assert(
      fc.asyncProperty(order, together, async (statuses, atOnce) => {
        const { twilioSid } = await seedMessage(application.dataSource);
        if (atOnce) await Promise.all(statuses.map((status) => report(twilioSid, status)));
        else await report(twilioSid, ...statuses);
        const expected = STATUSES_BY_RANK.findLast((status) => ['queued', ...statuses].includes(status));
        expect(await statusOf(twilioSid)).toBe(expected);
      }),
      { numRuns: 15 },
    );
  });

  it('changes alone: no other row does', async () => {
    const [message, other] = [
      await seedMessage(application.dataSource),
      await seedMessage(application.dataSource),
    ];
    await report(message.twilioSid, 'sent', 'delivered');
    expect(await statusOf(message.twilioSid)).toBe('delivered');
    expect(await statusOf(other.twilioSid)).toBe('queued');
  });

  it('gets the highest status of the events that came before it', async () => {
    const twilioSid = randomMessageSid();
    await report(twilioSid, 'delivered', 'sent', 'teleported');
    await follow(application);
    await seedMessage(application.dataSource, { twilioSid });
    await application.app.get(MessageEventsService).followAgain([twilioSid]);
    expect(await statusOf(twilioSid)).toBe('delivered');
  });

  it('follows a failure that came before it, without any further event', async () => {
    const twilioSid = randomMessageSid();
    await report(twilioSid, 'undelivered');
    await follow(application);
    await seedMessage(application.dataSource, { twilioSid });
    expect(await waiting(twilioSid)).toEqual([{ tries: 1 }]);
    await tryAgain();
    expect(await statusOf(twilioSid)).toBe('undelivered');
    expect(await waiting(twilioSid)).toEqual([]);
  });

  it('that is never stored is looked for a few times, and then no more', async () => {
    const twilioSid = randomMessageSid();
    await report(twilioSid, 'undelivered');
    for (let looks = 0; looks < 3; looks += 1) {
      await follow(application);
      await tryAgain();
    }
    await follow(application);
    expect(await waiting(twilioSid)).toEqual([]);
  });

  it('keeps a higher status, and can be followed again', async () => {
    const twilioSid = randomMessageSid();
    await report(twilioSid, 'sent');
    await seedMessage(application.dataSource, { twilioSid, status: 'read' });
    for (let times = 0; times < 2; times += 1) {
      await application.app.get(MessageEventsService).followAgain([twilioSid]);
      expect(await statusOf(twilioSid)).toBe('read');
    }
  });

  it('can be deleted, and its events stay', async () => {
    const { twilioSid, id } = await seedMessage(application.dataSource);
    await report(twilioSid, 'sent');
    await application.query('delete from messages where id = $1', [id]);
    await follow(application);
    expect(
      await application.query('select message_status from message_events where message_sid = $1', [
        twilioSid,
      ]),
    ).toEqual([{ message_status: 'sent' }]);
  });

  function warningsOf(message: string): (readonly unknown[])[] {
    return application.logs.lines
      .filter((line) => line.level === 'warn' && line.message.includes(message))
      .map(({ fields }) => fields);
  }

  it.each([
    ['trigger', 'create trigger refuse_status before'],
    ['deferred trigger', 'create constraint trigger refuse_status after'],
  ])('cannot affect the log: what a %s refuses is still stored', async (kind, create) => {
    const { twilioSid } = await seedMessage(application.dataSource);
    await application.query(
      `create function refuse_status() returns trigger language plpgsql as
         $$ begin raise exception 'the application ${kind} refuses %', new.status; end $$`,
    );
    await application.query(
      `${create} update on messages ${kind === 'trigger' ? '' : 'deferrable initially deferred'}
         for each row execute function refuse_status()`,
    );
    try {
      await report(twilioSid, 'sent', 'delivered');
      expect(await statusOf(twilioSid)).toBe('queued');
      await tryAgain();
      expect(await statusOf(twilioSid)).toBe('queued');
      // One line gives the reason.
      const warnings = warningsOf('messages does not take its status');
      expect(warnings.filter((fields) => JSON.stringify(fields).includes(twilioSid))).toMatchObject([
        [{ error: expect.stringContaining(`the application ${kind} refuses delivered`) as unknown }],
      ]);
    } finally {
      await application.query('drop function refuse_status cascade');
    }
    await tryAgain();
    expect(await statusOf(twilioSid)).toBe('delivered');
    expect(await waiting(twilioSid)).toEqual([]);
  });

  // The embedded database serves one transaction at a time, so no other one can hold a lock.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    async function whileOwner(does: string, parameters: unknown[], use: () => Promise<void>): Promise<void> {
      const owner = application.dataSource.createQueryRunner();
      await owner.startTransaction();
      try {
        await owner.query(does, parameters);
        await use();
      } finally {
        await owner.commitTransaction();
        await owner.release();
      }
    }

    it('delays neither a callback nor other rows while the application has it locked, and follows later', async () => {
      const locked = await seedMessage(application.dataSource);
      const free = await seedMessage(application.dataSource);
      await whileOwner('select from messages where id = $1 for update', [locked.id], async () => {
        await Promise.all([report(locked.twilioSid, 'delivered'), report(free.twilioSid, 'delivered')]);
        expect(await statusOf(free.twilioSid)).toBe('delivered');
        expect(await statusOf(locked.twilioSid)).toBe('queued');
        expect(await waiting(locked.twilioSid)).toHaveLength(1);
      });
      await tryAgain();
      expect(await statusOf(locked.twilioSid)).toBe('delivered');
    });

    it('delays no callback and no count while the whole table is locked, and follows later', async () => {
      const { twilioSid } = await seedMessage(application.dataSource);
      const unstored = randomMessageSid();
      await whileOwner('lock table messages in access exclusive mode', [], async () => {
        await Promise.all([
          report(twilioSid, 'delivered'),
          report(unstored, 'sent'),
          report(unstored, 'read'),
        ]);
        await follow(application);
        expect(await application.query('select from message_event_outbox where not counted')).toEqual([]);
        expect(await waiting(twilioSid)).toHaveLength(1);
      });
      await tryAgain();
      expect(await statusOf(twilioSid)).toBe('delivered');
    });

    it('follows an event that was being stored when it was added', async () => {
      const twilioSid = randomMessageSid();
      await application.query(
        `create function wait_for_test() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock(4711); return new; end $$`,
      );
      await application.query(
        'create trigger wait_for_test before insert on message_events for each row execute function wait_for_test()',
      );
      let reported: Promise<void> | undefined;
      await whileOwner('select pg_advisory_xact_lock(4711)', [], async () => {
        reported = report(twilioSid, 'delivered');
        await until('the event to be half stored', async () => {
          const waits = await application.query("select from pg_stat_activity where wait_event = 'advisory'");
          return waits.length > 0;
        });
        await seedMessage(application.dataSource, { twilioSid });
        await application.app.get(MessageEventsService).followAgain([twilioSid]);
        expect(await statusOf(twilioSid)).toBe('queued');
      });
      await reported;
      await application.query('drop function wait_for_test cascade');
      expect(await statusOf(twilioSid)).toBe('delivered');
    });

    it('of two replicas that follow the same message has the highest status', async () => {
      const rows = await Promise.all(Array.from({ length: 50 }, () => seedMessage(application.dataSource)));
      const following = Promise.all(Array.from({ length: 4 }, () => follow(application)));
      await Promise.all(rows.map(({ twilioSid }) => report(twilioSid, 'sent', 'read', 'delivered')));
      await following;
      await until('every row to follow', async () => {
        await tryAgain();
        const statuses = await Promise.all(rows.map(({ twilioSid }) => statusOf(twilioSid)));
        return statuses.every((status) => status === 'read');
      });
    });
  }
});
