import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import { TestApplication } from '../support/application.js';
import { describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

type Connected = (error: Error | undefined, client: PoolClient | undefined, release: () => void) => void;

/**
 * After a failover, connections led to the old server, which could only read. Each failed a callback, returned to the
 * pool, and failed the next one, for up to minutes.
 */
describeOnServer('a service whose server becomes read-only just after a connection is handed over', () => {
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start();
  });

  afterAll(() => application.close());

  function pool(): Pool {
    return (application.dataSource.driver as unknown as { master: Pool }).master;
  }

  /** Runs between the pool and the code that asked it for a connection. */
  function whenHandedOver(change: (client: PoolClient) => Promise<unknown>): void {
    const master = pool();
    const connect = master.connect.bind(master) as (connected: Connected) => void;
    master.connect = ((connected: Connected) => {
      master.connect = connect as Pool['connect'];
      connect((error, client, release) => {
        const changed = client === undefined ? Promise.resolve() : change(client);
        changed.then(
          () => {
            connected(error, client, release);
          },
          () => undefined,
        );
      });
    }) as Pool['connect'];
  }

  async function sessions(): Promise<number[]> {
    const rows = await Promise.all(
      Array.from({ length: 4 }, () =>
        application.query<{ pid: number }>('select pg_backend_pid() as pid, pg_sleep(0.3)'),
      ),
    );
    return rows.flat().map(({ pid }) => pid);
  }

  const reports = {
    'a status': statusParameters,
    'a policy failure, which is written in a transaction of several statements': () =>
      statusParameters({ MessageStatus: 'failed', ErrorCode: '63049', To: 'whatsapp:+15557654321' }),
  };

  it.each(Object.entries(reports))('still stores %s, by another connection', async (_, parameters) => {
    const before = await sessions();
    whenHandedOver((client) => client.query('set default_transaction_read_only = on'));
    expect((await postCallback(application, { parameters: parameters() })).status).toBe(204);
    // The idle connections go to the same server, so they are not reused either.
    await until('the idle sessions to end', async () => {
      return (await sessions()).every((pid) => !before.includes(pid));
    });
    const [stored] = await application.query<{ count: number }>('select count(*)::int from message_events');
    expect(stored?.count).toBeGreaterThan(0);
  });
});
