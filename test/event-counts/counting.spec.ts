import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Client } from 'pg';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { EventCounting } from '../../src/event-counts/event-counting.js';
import { EventCountsStore } from '../../src/event-counts/event-counts.store.js';
import { callApi, withAdminKeys } from '../operations/api.js';
import { TestApplication } from '../support/application.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { countEvents, countingOnDemand, forgetEvents } from './counting.js';

const EVENTS_IN_TRANSACTION = 50;

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

/** Spread over three days, many of them in the first hours and at the same instants. */
const events = fc.array(
  fc.record<Event>({
    second: fc.oneof(fc.integer({ min: 36_000, max: 40_000 }), fc.integer({ min: 0, max: 259_199 })),
    channel: fc.constantFrom('whatsapp', 'sms', 'x'.repeat(100)),
    status: fc.constantFrom('sent', 'delivered', 'failed'),
    code: fc.constantFrom(null, '63049', '30003'),
  }),
  { minLength: 150, maxLength: 250 },
);

describe('the counts of events', () => {
  let application: TestApplication;
  let store: EventCountsStore;

  beforeAll(async () => {
    application = await TestApplication.start({
      env: withAdminKeys,
      override: countingOnDemand({ eventsInTransaction: EVENTS_IN_TRANSACTION }),
    });
    store = application.app.get(EventCountsStore, { strict: false });
  });

  beforeEach(() => forgetEvents(application));

  afterAll(async () => {
    await application.close();
  });

  async function add(sample: readonly Event[]): Promise<void> {
    await application.query(
      `insert into message_events (message_sid, message_status, channel, error_code, account_sid, payload, created_at)
       select 'SM' || number, status, channel, code, 'AC1', '{}',
              timestamptz '2026-03-01 00:00Z' + second * interval '1 second' + number % 3 * interval '1 microsecond'
         from jsonb_to_recordset($1::jsonb) as event (number int, second int, channel text, status text, code text)`,
      [JSON.stringify(sample.map((event, number) => ({ ...event, number })))],
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

  /** Counting takes this long, as after a bulk import with one timestamp. */
  async function withSlowCounting(seconds: number, use: () => Promise<void>): Promise<void> {
    await application.query(
      `create function be_slow() returns trigger language plpgsql as
         $$ begin perform pg_sleep(${seconds}); return null; end $$`,
    );
    await application.query(
      'create trigger be_slow before insert on message_event_counts for each statement execute function be_slow()',
    );
    try {
      await use();
    } finally {
      await application.query('drop function be_slow cascade');
    }
  }

  it('do not change the statistics before, during, or after the counting', async () => {
    await fc.assert(
      fc.asyncProperty(events, async (sample) => {
        await forgetEvents(application);
        await add(sample);
        await expectTrueStatistics();
        let steps = 1;
        while (await store.countNext(new AbortController().signal)) {
          steps += 1;
          await expectTrueStatistics();
        }
        expect(steps).toBeGreaterThan(2);
        await expectTrueStatistics();
        expect(await total(application, 'day')).toBe(sample.length);
      }),
      { numRuns: 3 },
    );
  });

  it('have each event once, however many replicas count', async () => {
    await add(fc.sample(events, { numRuns: 1, seed: 1 })[0] ?? []);
    let more = true;
    while (more) {
      const steps = await Promise.all(
        Array.from({ length: 4 }, () => store.countNext(new AbortController().signal)),
      );
      more = steps.some(Boolean);
      await expectTrueStatistics();
    }
    expect(await total(application, 'minute')).toBe(await total(application, 'day'));
    await expectTrueStatistics();
  });

  it('advance if one instant has more events than one transaction counts', async () => {
    const event: Event = { second: 36_000, channel: 'sms', status: 'sent', code: null };
    await add(Array.from({ length: 400 }, () => event));
    await countEvents(application);
    expect(await total(application, 'day')).toBe(400);
    await expectTrueStatistics();
  });

  it("advance if a step takes longer than the limit of a callback's statement, e.g. after a bulk import", async () => {
    await add([{ second: 36_000, channel: 'sms', status: 'sent', code: null }]);
    await withSlowCounting(4.5, async () => {
      await countEvents(application);
      expect(await total(application, 'day')).toBe(1);
    });
  });

  // A query in the embedded database cannot be canceled: it runs one query at a time.
  if (process.env.TEST_DATABASE_URL !== undefined) {
    it('stop in the database too when they are canceled during a long step', async () => {
      await add([{ second: 36_000, channel: 'sms', status: 'sent', code: null }]);
      const sleeping = () =>
        application.query(
          `select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`,
        );
      await withSlowCounting(120, async () => {
        const stopping = new AbortController();
        const counting = store.countNext(stopping.signal);
        await until('the step is under way', async () => (await sleeping()).length === 1);
        stopping.abort();
        await expect(counting).rejects.toThrow('canceling statement due to user request');
        expect(await sleeping()).toEqual([]);
        expect(await total(application, 'day')).toBe(0);
      });
    });
  }

  it('leave the events of the last seconds for later, and statistics still include them', async () => {
    await application.query(
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       values ('SMyoung', 'sent', 'sms', 'AC1', '{}', now() - interval '5 seconds'),
              ('SMold', 'sent', 'sms', 'AC1', '{}', now() - interval '15 seconds')`,
    );
    await countEvents(application);
    await countEvents(application);
    expect(await total(application, 'minute')).toBe(1);
    const { body } = await callApi<{ events: { count: number }[] }>(application, '/api/v1/stats?bucket=hour');
    expect(body.events.reduce((sum, { count }) => sum + count, 0)).toBe(2);
  });

  it('wait while no event is new', async () => {
    await countEvents(application);
    expect(await application.query('select counted_until::text from message_event_count_watermark')).toEqual([
      { counted_until: '-infinity' },
    ]);
  });
});

// The embedded database has one connection, so nothing runs next to its current work.
if (process.env.TEST_DATABASE_URL !== undefined) {
  describe('events that become visible in another order than they began', () => {
    let database: DatabaseConnection;
    let application: TestApplication;
    let late: Client;

    beforeAll(async () => {
      database = await createTestDatabase();
      const override = countingOnDemand({ settlingMilliseconds: 0 });
      application = await TestApplication.start({ database, override });
    });

    beforeEach(() => forgetEvents(application));

    afterEach(() => late.end());

    afterAll(async () => {
      await application.close();
      await database.close();
    });

    async function beginIn({ client }: DatabaseConnection): Promise<void> {
      late = new Client(client);
      await late.connect();
      await late.query('begin');
      await late.query('select now()');
    }

    it('are counted', async () => {
      await beginIn(database);
      await application.query(ADD_EVENT, ['SMearly']);
      await countEvents(application);
      expect(await total(application, 'day')).toBe(0);
      await late.query(ADD_EVENT, ['SMlate']);
      await late.query('commit');
      await countEvents(application);
      expect(await total(application, 'day')).toBe(2);
    });

    it('do not delay earlier ones', async () => {
      await application.query(ADD_EVENT, ['SMearly']);
      await beginIn(database);
      await late.query(ADD_EVENT, ['SMlate']);
      await countEvents(application);
      expect(await total(application, 'day')).toBe(1);
      await late.query('commit');
      await countEvents(application);
      expect(await total(application, 'day')).toBe(2);
    });

    it('do not wait for the transactions of another database', async () => {
      const other = await createTestDatabase();
      try {
        await beginIn(other);
        await application.query(ADD_EVENT, ['SMearly']);
        await countEvents(application);
        expect(await total(application, 'day')).toBe(1);
      } finally {
        await late.query('rollback');
        await late.end();
        await other.close();
      }
    });

    it('do not delay the counting forever', async () => {
      const options = { settlingMilliseconds: 0, longestWaitMilliseconds: 0 };
      const impatient = new EventCountsStore(application.dataSource, options);
      await beginIn(database);
      await application.query(ADD_EVENT, ['SMearly']);
      await impatient.countNext(new AbortController().signal);
      expect(await total(application, 'day')).toBe(1);
    });
  });
}

const ADD_EVENT = `
insert into message_events (message_sid, message_status, channel, account_sid, payload) values ($1, 'sent', 'sms', 'AC1', '{}')`;

/** The number of events in the counts of this unit. */
async function total(application: TestApplication, unit: 'minute' | 'day'): Promise<number> {
  const [row] = await application.query<{ total: number }>(
    'select coalesce(sum(events), 0)::int as total from message_event_counts where unit = $1',
    [unit],
  );
  return row?.total ?? 0;
}

describe('the counting of events', () => {
  it('begins no new step after a stop', async () => {
    const application = await TestApplication.start({
      override: countingOnDemand({ eventsInTransaction: 10 }),
    });
    await application.query(
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       select 'SM' || n, 'sent', 'sms', 'AC1', '{}', now() - n * interval '2 minutes' from generate_series(1, 100) n`,
    );
    application.app.get(EventCounting, { strict: false }).onModuleDestroy();
    await countEvents(application);
    expect(
      await application.query(
        `select sum(events)::int as events from message_event_counts where unit = 'day'`,
      ),
    ).toEqual([{ events: null }]);
    await application.close();
  });

  it('runs by itself, without a key for the API', async () => {
    const application = await TestApplication.start({
      override: countingOnDemand({ intervalMilliseconds: 10 }),
    });
    await application.query(
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, created_at)
       values ('SMold', 'sent', 'sms', 'AC1', '{}', now() - interval '2 hours')`,
    );
    await until('the count', async () => {
      const rows = await application.query('select unit from message_event_counts order by unit');
      return rows.length === 3;
    });
    await application.close();
  });
});
