import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import { TestApplication } from '../support/application.js';

type Connected = (error: Error | undefined, client: PoolClient | undefined, release: () => void) => void;

/**
 * Found by `npm run chaos`: PostgreSQL ended a connection just after the pool handed it over and before TypeORM
 * listened to it. The unhandled error ended the process.
 */
describe('a connection that breaks when the pool hands it over', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  /** TypeORM's pool, whose next connection breaks at that moment. */
  function breakNextConnection(): void {
    const { master: pool } = application.dataSource.driver as unknown as { master: Pool };
    const connect = pool.connect.bind(pool) as (connected: Connected) => void;
    pool.connect = ((connected: Connected) => {
      pool.connect = connect as Pool['connect'];
      connect((error, client, release) => {
        connected(error, client, release);
        client?.emit('error', new Error('terminating connection due to administrator command'));
      });
    }) as Pool['connect'];
  }

  it('does not crash the process, and the next one works', async () => {
    breakNextConnection();
    await application.query('select 1').catch(() => undefined);
    expect(await application.query('select 1 as one')).toEqual([{ one: 1 }]);
  });
});
