import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import type { MessageStatusReport } from '../../src/message-events/message-status-report.js';
import { STATUSES_BY_RANK } from '../../src/message-events/message-status.js';
import { MessageEventsService } from '../../src/message-events/message-events.service.js';
import { MessageLinks } from '../../src/message-events/message-links.js';
import { TestApplication } from '../support/application.js';
import { jobsOf, runWaitingJobs } from '../support/job-queue.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

function messageLinkPostponed(messageSid: string) {
  return { id: randomUUID(), occurredAt: new Date().toISOString(), messageSid };
}

/** The parameters of a callback of a fallback's SMS. */
function smsReport(messageSid: string): MessageStatusReport {
  return {
    ...{ messageSid, messageStatus: 'delivered', channel: 'sms', toNumber: null, fromNumber: null },
    ...{ errorCode: null, errorMessage: null, accountSid: 'ACother', payload: {}, source: 'callback' },
    ...{ smsFallbackId: randomUUID(), callbackUrl: null },
  };
}

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
    const [row] = await application.query<{ status: string | null }>(
      'select status from messages where twilio_sid = $1',
      [messageSid],
    );
    return row?.status;
  }

  function linksOf(messageSid: string) {
    return application.query<{ message_id: string | null }>(
      'select message_id from message_events where message_sid = $1',
      [messageSid],
    );
  }

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

  it('is named by its events, and no other row changes', async () => {
    const [message, other] = [
      await seedMessage(application.dataSource),
      await seedMessage(application.dataSource),
    ];
    await report(message.twilioSid, 'sent', 'delivered');
    expect(await linksOf(message.twilioSid)).toEqual([
      { message_id: message.id },
      { message_id: message.id },
    ]);
    expect(await statusOf(other.twilioSid)).toBe('queued');
  });

  it('is linked by linkMessage to the events that came before it, and gets their status', async () => {
    const twilioSid = randomMessageSid();
    await report(twilioSid, 'delivered', 'sent', 'teleported');
    expect(await linksOf(twilioSid)).toEqual(Array(3).fill({ message_id: null }));
    const { id } = await seedMessage(application.dataSource, { twilioSid });
    await application.app.get(MessageEventsService).linkMessage(twilioSid);
    expect(await linksOf(twilioSid)).toEqual(Array(3).fill({ message_id: id }));
    expect(await statusOf(twilioSid)).toBe('delivered');
  });

  it('keeps a higher status when linkMessage finds a lower one, and linkMessage can be repeated', async () => {
    const twilioSid = randomMessageSid();
    await report(twilioSid, 'sent');
    await seedMessage(application.dataSource, { twilioSid, status: 'read' });
    for (let times = 0; times < 2; times += 1) {
      await application.app.get(MessageEventsService).linkMessage(twilioSid);
    }
    expect(await statusOf(twilioSid)).toBe('read');
  });

  it('can be deleted, and its events stay', async () => {
    const { twilioSid, id } = await seedMessage(application.dataSource);
    await report(twilioSid, 'sent');
    await application.query('delete from messages where id = $1', [id]);
    expect(await linksOf(twilioSid)).toEqual([{ message_id: null }]);
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
         $$ begin raise exception 'the application refuses %', new.status; end $$`,
    );
    await application.query(
      `${create} update on messages ${kind === 'trigger' ? '' : 'deferrable initially deferred'}
         for each row execute function refuse_status()`,
    );
    try {
      await report(twilioSid, 'sent', 'delivered');
      expect(await linksOf(twilioSid)).toHaveLength(2);
      expect(await statusOf(twilioSid)).toBe('queued');
      await application.app.get(MessageLinks).onPostponed(messageLinkPostponed(twilioSid));
      await application.app.get(MessageLinks).onPostponed(messageLinkPostponed(twilioSid));
      // One line gives the reason, and no job fails.
      expect(warningsOf('messages does not take its status')).toMatchObject([
        [{ error: 'the application refuses delivered' }],
      ]);
      const jobs = await jobsOf(application, 'message_link.postponed');
      expect(jobs.map(({ last_error: error }) => error)).toEqual(jobs.map(() => null));
    } finally {
      await application.query('drop function refuse_status cascade');
    }
    await until('the row to follow its events', async () => {
      await runWaitingJobs(application);
      return (await statusOf(twilioSid)) === 'delivered';
    });
  });

  // The embedded database serves one transaction at a time, so no other one can hold a lock.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('delays no callback while the application has it locked, and follows once it is free', async () => {
      const locked = await seedMessage(application.dataSource);
      const free = await seedMessage(application.dataSource);
      const owner = application.dataSource.createQueryRunner();
      await owner.startTransaction();
      try {
        await owner.query('select from messages where id = $1 for update', [locked.id]);
        await Promise.all([report(locked.twilioSid, 'delivered'), report(free.twilioSid, 'delivered')]);
        expect(await statusOf(free.twilioSid)).toBe('delivered');
        expect(await statusOf(locked.twilioSid)).toBe('queued');
        expect(await jobsOf(application, 'message_link.postponed')).toHaveLength(1);
      } finally {
        await owner.commitTransaction();
        await owner.release();
      }
      await until('the row to follow its events', async () => {
        await runWaitingJobs(application);
        return (await statusOf(locked.twilioSid)) === 'delivered';
      });
    });

    it("of a fallback's SMS follows an event that was being stored during its insert", async () => {
      await application.query(
        `create function wait_for_test() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock(4711); return new; end $$`,
      );
      await application.query(
        'create trigger wait_for_test before insert on message_events for each row execute function wait_for_test()',
      );
      const owner = application.dataSource.createQueryRunner();
      await owner.startTransaction();
      await owner.query('select pg_advisory_xact_lock(4711)');
      const messageSid = randomMessageSid();
      const recorded = application.app.get(MessageEventsService).record(smsReport(messageSid));
      await until('the event to be half stored', async () => {
        const waiting = await application.query("select from pg_stat_activity where wait_event = 'advisory'");
        return waiting.length > 0;
      });
      await seedMessage(application.dataSource, { twilioSid: messageSid });
      await application.app.get(MessageEventsService).linkMessage(messageSid);
      expect(await statusOf(messageSid)).toBe('queued');
      await owner.commitTransaction();
      await owner.release();
      await recorded;
      expect(await statusOf(messageSid)).toBe('delivered');
      await application.query('drop function wait_for_test cascade');
    });

    it.each([
      ['is locked for a while', 'before'],
      ['is locked for a while, and the row is added meanwhile', 'while'],
    ])('follows, and no callback is lost, if the whole table %s', async (_, added) => {
      const twilioSid = randomMessageSid();
      if (added === 'before') await seedMessage(application.dataSource, { twilioSid });
      const owner = application.dataSource.createQueryRunner();
      await owner.startTransaction();
      await owner.query('lock table messages in access exclusive mode');
      const reported = report(twilioSid, 'delivered');
      await until('the callback to wait for the table', async () => {
        const waiting = await application.query(
          "select from pg_stat_activity where wait_event_type = 'Lock'",
        );
        return waiting.length > 0;
      });
      if (added === 'while') await owner.query('insert into messages (twilio_sid) values ($1)', [twilioSid]);
      await owner.commitTransaction();
      await owner.release();
      await reported;
      await until('the row to follow its events', async () => {
        await runWaitingJobs(application);
        return (await statusOf(twilioSid)) === 'delivered';
      });
    });

    it("costs its callbacks a 503 if the whole table is locked for longer than a statement's limit", async () => {
      const { twilioSid } = await seedMessage(application.dataSource);
      const owner = application.dataSource.createQueryRunner();
      await owner.startTransaction();
      try {
        await owner.query('lock table messages in access exclusive mode');
        const parameters = statusParameters({ MessageSid: twilioSid, MessageStatus: 'delivered' });
        const { status } = await postCallback(application, { parameters });
        expect(status).toBe(503);
        expect(await linksOf(twilioSid)).toEqual([]);
      } finally {
        await owner.commitTransaction();
        await owner.release();
      }
      await report(twilioSid, 'delivered');
      expect(await statusOf(twilioSid)).toBe('delivered');
    });
  }
});
