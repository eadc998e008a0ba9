import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { People } from '../../src/message-events/people.js';
import { NumberErasure } from '../../src/retention/number-erasure.js';
import { createTestDatabase, describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';

const NUMBER = '+15557654321';

// The embedded database serves one transaction at a time.
describeOnServer('the erasure of a number', () => {
  let database: DatabaseConnection;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource(dataSourceOptions(database)).initialize();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.close();
  });

  async function untilItWaits(): Promise<void> {
    await until('the erasure to wait', async () => {
      const waiting = await dataSource.query<unknown[]>(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return waiting.length > 0;
    });
  }

  it.each([
    [
      'message_events',
      { events: 1_000 },
      `insert into message_events (message_sid, message_status, channel, account_sid, payload, to_number)
       select 'SM' || number, 'sent', 'sms', 'AC1', '{}', $1 from generate_series(1, 2500) as number`,
    ],
    [
      'rejected_callbacks',
      { rejectedCallbacks: 1_000 },
      `insert into rejected_callbacks (payload, reason)
       select jsonb_build_object('To', $1::text), 'a reason' from generate_series(1, 2500)`,
    ],
  ])('leaves nothing in %s, although others delete rows meanwhile', async (table, left, insert) => {
    await dataSource.query(insert, [NUMBER]);
    const retention = dataSource.createQueryRunner();
    await retention.startTransaction();
    await retention.query(
      `delete from ${table} where ctid in (select ctid from ${table} order by ctid limit 1500)`,
    );
    const erased = new NumberErasure(dataSource, new People(dataSource)).erase({ number: NUMBER });
    await untilItWaits();
    await retention.commitTransaction();
    await retention.release();
    expect(await erased).toMatchObject(left);
    expect(
      await new NumberErasure(dataSource, new People(dataSource)).find({ number: NUMBER }),
    ).toMatchObject({
      events: 0,
      rejectedCallbacks: 0,
    });
  });
});
