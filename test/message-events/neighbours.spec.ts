import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { MessageStatusReport } from '../../src/message-events/message-status-report.js';
import {
  EventNotStoredError,
  MessageEventsService,
} from '../../src/message-events/message-events.service.js';
import { MessageEventsStore } from '../../src/message-events/message-events.store.js';
import { TestApplication } from '../support/application.js';
import { follow } from '../support/following.js';
import { randomMessageSid, seedMessage } from '../support/seed.js';

describe('reports that are committed together', () => {
  let application: TestApplication;
  let service: MessageEventsService;

  beforeAll(async () => {
    application = await TestApplication.start();
    service = application.app.get(MessageEventsService);
  });

  afterAll(async () => {
    await application.close();
  });

  function report(different: Partial<MessageStatusReport> = {}): MessageStatusReport {
    return {
      messageSid: randomMessageSid(),
      messageStatus: 'sent',
      channel: 'sms',
      toNumber: null,
      fromNumber: null,
      errorCode: null,
      errorMessage: null,
      accountSid: 'ACother',
      payload: {},
      source: 'callback',
      smsFallbackId: null,
      callbackUrl: null,
      ...different,
    };
  }

  function rowsOf(reports: readonly MessageStatusReport[]) {
    return application.query<{ id: string; message_sid: string }>(
      'select id, message_sid from message_events where message_sid = any ($1)',
      [reports.map(({ messageSid }) => messageSid)],
    );
  }

  it.each([
    ['a NUL in the payload', { payload: { Body: '\0' } }],
    ['a NUL in the key', { messageSid: 'SM\0' }],
    ['an id that is none', { smsFallbackId: 'not-a-uuid' }],
    ['a column left out', { channel: undefined }],
    ['a number that is too long for the index', { toNumber: randomBytes(3_000).toString('hex') }],
  ])('are all kept except one that PostgreSQL refuses, with %s', async (_, fault) => {
    const bad = report(fault);
    const good = Array.from({ length: 8 }, () => report());
    const outcomes = await Promise.allSettled(
      [...good.slice(0, 4), bad, ...good.slice(4)].map((each) => service.record(each)),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...Array<string>(4).fill('fulfilled'),
      'rejected',
      ...Array<string>(4).fill('fulfilled'),
    ]);
    expect((outcomes[4] as PromiseRejectedResult).reason).toBeInstanceOf(EventNotStoredError);
    expect(await rowsOf(good)).toHaveLength(8);
  });

  it('get the id of their own row each', async () => {
    const reports = Array.from({ length: 600 }, () => report());
    const recorded = await Promise.all(reports.map((each) => service.record(each)));
    const ids = new Map((await rowsOf(reports)).map((row) => [row.message_sid, row.id]));
    expect(recorded).toEqual(reports.map(({ messageSid }) => ({ id: ids.get(messageSid), repeated: false })));
  });

  it('get the id of the first if they repeat one another, and one of them is new', async () => {
    const one = report();
    const recorded = await Promise.all(
      [report(), one, one, report(), one].map((each) => service.record(each)),
    );
    const repeats = [1, 2, 4].map((index) => recorded[index]);
    const [row] = await rowsOf([one]);
    expect(new Set(repeats.map((each) => each?.id))).toEqual(new Set([row?.id]));
    expect(repeats.filter((each) => each?.repeated === false)).toHaveLength(1);
  });

  it('keep the highest status of one message', async () => {
    const { twilioSid } = await seedMessage(application.dataSource);
    const statuses = ['queued', 'read', 'sent', 'teleported', 'delivered'];
    await Promise.all(
      statuses.map((messageStatus) => service.record(report({ messageSid: twilioSid, messageStatus }))),
    );
    await follow(application);
    expect(await application.query('select status from messages where twilio_sid = $1', [twilioSid])).toEqual(
      [{ status: 'read' }],
    );
  });

  it("let each message's row follow except the one that the application refuses", async () => {
    const refused = await seedMessage(application.dataSource);
    const others = await Promise.all(Array.from({ length: 4 }, () => seedMessage(application.dataSource)));
    await application.query(
      `create function refuse_one() returns trigger language plpgsql as $$ begin
         if new.twilio_sid = '${refused.twilioSid}' then raise exception 'not this one'; end if;
         return new;
       end $$`,
    );
    await application.query(
      'create trigger refuse_one before update on messages for each row execute function refuse_one()',
    );
    const reports = [...others.slice(0, 2), refused, ...others.slice(2)].map(({ twilioSid }) =>
      report({ messageSid: twilioSid }),
    );
    try {
      await Promise.all(reports.map((each) => service.record(each)));
      await follow(application);
      const rows = await application.query<{ status: string }>(
        'select status from messages where twilio_sid = any ($1) order by status',
        [reports.map(({ messageSid }) => messageSid)],
      );
      expect(rows.map(({ status }) => status)).toEqual(['queued', ...Array<string>(4).fill('sent')]);
      expect(await application.query('select message_sid, tries from message_event_outbox')).toEqual([
        { message_sid: refused.twilioSid, tries: 1 },
      ]);
    } finally {
      await application.query('drop function refuse_one cascade');
    }
    expect(await rowsOf(reports)).toHaveLength(5);
  });

  it('are refused without harm if too many wait', async () => {
    const reports = Array.from({ length: 10_400 }, () => report());
    const outcomes = await Promise.allSettled(reports.map((each) => service.record(each)));
    const refused = reports.filter((_, index) => outcomes[index]?.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(await rowsOf(refused)).toEqual([]);
    expect(await rowsOf(reports)).toHaveLength(reports.length - refused.length);
    await expect(service.record(refused[0] ?? report())).resolves.toMatchObject({ repeated: false });
  });

  it.each([
    ['until they are committed', 600_000, ['reports', 'other work']],
    ['no longer than it may', 1, ['other work', 'reports']],
  ])('are not held up by work that can wait: it waits %s', async (_, limit, order) => {
    const store = application.app.get(MessageEventsStore, { strict: false });
    const record = store.record.bind(store);
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    jest.spyOn(store, 'record').mockImplementation(async (...parameters) => {
      await opened;
      return record(...parameters);
    });
    const done: string[] = [];
    const reports = [report(), report()].map((each) => service.record(each));
    const recorded = Promise.all(reports).then(() => done.push('reports'));
    const other = service.untilCalm(limit).then(() => done.push('other work'));
    if (limit === 1) await other;
    open();
    await Promise.all([recorded, other]);
    jest.restoreAllMocks();
    expect(done).toEqual(order);
  });
});
