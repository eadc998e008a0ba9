import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Follower } from '../../src/follower/follower.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { addEvents, follow, followingOnDemand, forgetEvents } from '../support/following.js';
import { until } from '../support/until.js';

const WINDOWS = [
  ['minute', '2026-03-01T09:58:00Z', '2026-03-01T15:58:00Z'],
  ['hour', '2026-03-01T00:00:00Z', '2026-03-04T00:00:00Z'],
  ['hour', '2026-03-01T10:07:00Z', '2026-03-02T23:58:00Z'],
  ['day', '2026-02-20T00:00:00Z', '2026-03-20T00:00:00Z'],
  ['day', '2026-03-01T10:59:00Z', '2026-03-03T10:01:00Z'],
] as const;

interface Event {
  readonly second: number;
  readonly channel: string;
  readonly status: string;
  readonly code: string | null;
}

const event = fc.record<Event>({
  second: fc.oneof(fc.integer({ min: 36_000, max: 40_000 }), fc.integer({ min: 0, max: 259_199 })),
  channel: fc.constantFrom('whatsapp', 'sms', 'x'.repeat(100)),
  status: fc.constantFrom('sent', 'delivered', 'failed'),
  code: fc.constantFrom(null, '63049', '30003'),
});

/** More than the follower takes at once, spread over three days, many of them in the first hours. */
function sample(seed: number): Event[] {
  return fc.sample(event, { numRuns: 2_300, seed });
}

describe('the counts of events', () => {
  let application: TestApplication;
  let follower: Follower;

  beforeAll(async () => {
    application = await TestApplication.start({ env: withAdminKeys, override: followingOnDemand });
    follower = application.app.get(Follower, { strict: false });
  });

  beforeEach(() => forgetEvents(application));

  afterAll(async () => {
    await application.close();
  });

  async function add(events: readonly Event[]): Promise<void> {
    await addEvents(
      application,
      `insert into message_events (message_sid, message_status, channel, error_code, account_sid, payload, created_at)
       select 'SM' || number, status, channel, code, 'AC1', '{}',
              timestamptz '2026-03-01 00:00Z' + second * interval '1 second' + number % 3 * interval '1 microsecond'
         from jsonb_to_recordset($1::jsonb) as event (number int, second int, channel text, status text, code text)`,
      [JSON.stringify(events.map((each, number) => ({ ...each, number })))],
    );
  }

  async function expectTrueStatistics(): Promise<void> {
    for (const [bucket, from, to] of WINDOWS) {
      const { body } = await callApi(application, `/api/v1/stats?from=${from}&to=${to}&bucket=${bucket}`);
      expect({ bucket, from, events: body.events }).toEqual({
        bucket,
        from,
        events: await counted(bucket, from, to),
      });
    }
  }

  /** The rows of message_events themselves. */
  async function counted(bucket: string, from: string, to: string): Promise<unknown> {
    const rows = await application.query<{ at: Date }>(
      `select date_trunc($1, created_at, 'UTC') as at, left(channel, 64) as channel, message_status as status,
              error_code as "errorCode", count(*)::int as count
         from message_events where created_at >= $2 and created_at < $3
        group by 1, 2, 3, 4 order by 1, 2, 3, 4`,
      [bucket, from, to],
    );
    return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
  }

  /** The number of events in the counts of this unit. */
  async function total(unit: 'minute' | 'day'): Promise<number> {
    const [row] = await application.query<{ total: number }>(
      'select coalesce(sum(events), 0)::int as total from message_event_counts where unit = $1',
      [unit],
    );
    return row?.total ?? 0;
  }

  it('do not change the statistics before, during, or after the counting', async () => {
    await add(sample(1));
    await expectTrueStatistics();
    let steps = 1;
    while (await follower.followNext()) {
      steps += 1;
      await expectTrueStatistics();
    }
    expect(steps).toBe(3);
    await expectTrueStatistics();
    expect(await total('day')).toBe(2_300);
  });

  it('have each event once, however many replicas count', async () => {
    await add(sample(2));
    await Promise.all(Array.from({ length: 4 }, () => follower.runOnce()));
    await follow(application);
    expect(await total('minute')).toBe(2_300);
    expect(await total('day')).toBe(2_300);
    await expectTrueStatistics();
  });

  it('are not changed by a step that fails, and have its events afterwards', async () => {
    await add(sample(3));
    await application.query('alter table message_event_counts add constraint closed check (false) not valid');
    try {
      await expect(follower.runOnce()).rejects.toThrow('violates check constraint "closed"');
      await expectTrueStatistics();
    } finally {
      await application.query('alter table message_event_counts drop constraint closed');
    }
    await follow(application);
    expect(await total('day')).toBe(2_300);
    await expectTrueStatistics();
  });

  // The embedded database has one connection, so nothing runs next to its current work.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('have an event whose transaction ends long after later ones', async () => {
      const late = application.dataSource.createQueryRunner();
      await late.startTransaction();
      await addEvents({ query: (sql, parameters) => late.query(sql, parameters) as never }, ADD_EVENT, [
        'SMlate',
      ]);
      await addEvents(application, ADD_EVENT, ['SMearly']);
      await follow(application);
      expect(await total('day')).toBe(1);
      await late.commitTransaction();
      await late.release();
      await follow(application);
      expect(await total('day')).toBe(2);
    });
  }

  it('begin no new step after a stop', async () => {
    const stopped = await TestApplication.start({ override: followingOnDemand });
    await addEvents(stopped, ADD_EVENT, ['SM1']);
    const itsFollower = stopped.app.get(Follower, { strict: false });
    itsFollower.onModuleDestroy();
    await itsFollower.runOnce();
    expect(await stopped.query('select counted from message_event_outbox')).toEqual([{ counted: false }]);
    await stopped.close();
  });

  it('run by themselves', async () => {
    const running = await TestApplication.start();
    await addEvents(running, ADD_EVENT, ['SM1']);
    await until('the count', async () => {
      const rows = await running.query('select unit from message_event_counts order by unit');
      return rows.length === 3;
    });
    await running.close();
  });
});

const ADD_EVENT = `
insert into message_events (message_sid, message_status, channel, account_sid, payload) values ($1, 'sent', 'sms', 'AC1', '{}')`;
