import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { mostConnections } from '../../src/database/data-source-options.js';
import { TestApplication } from '../support/application.js';
import { describeWithOwnServer, OwnPostgres } from '../support/own-postgres.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

jest.setTimeout(180_000);

const MOST = mostConnections({ WORKER_CONCURRENCY: 10 });

/**
 * Each abandoned commit left its session waiting for the standby. The pool replaced the connection, until the server
 * had none left.
 */
describeWithOwnServer('commits that hang', () => {
  let server: OwnPostgres;
  let application: TestApplication;

  beforeAll(async () => {
    server = await OwnPostgres.start({ max_connections: '40' });
    await server.migrate();
    application = await TestApplication.start({ database: server.connection });
  });

  afterAll(async () => {
    await application.close();
    await server.close();
  });

  /** The server's count, on the application's own connection. */
  async function sessions(): Promise<number> {
    const [row] = await server.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity where backend_type = 'client backend' and application_name <> 'test'`,
    );
    return row?.count ?? 0;
  }

  function report(index: number) {
    const isFailure = index % 2 === 0;
    return statusParameters(
      isFailure ? { MessageStatus: 'failed', ErrorCode: '63049', To: 'whatsapp:+15557654321' } : {},
    );
  }

  it('take no more sessions than documented, and lose and duplicate nothing', async () => {
    await server.query('create table others (id integer)');
    await server.set('synchronous_standby_names', 'nobody');
    let most = 0;
    const reports = Array.from({ length: 100 }, (_, index) => report(index));
    for (let round = 0; round < 5; round += 1) {
      const callbacks = reports
        .slice(round * 20, round * 20 + 20)
        .map((parameters) => postCallback(application, { parameters }));
      // The other writes of the service, on all of its connections at once.
      const others = Array.from({ length: 8 }, () =>
        application.query('insert into others values (1)').catch(() => undefined),
      );
      let isOver = false;
      const over = Promise.all([...callbacks, ...others]).finally(() => (isOver = true));
      await until(
        'the callbacks to be answered',
        async () => {
          most = Math.max(most, await sessions());
          return isOver;
        },
        60_000,
      );
      await over;
      for (const { status } of await Promise.all(callbacks)) expect(status).toBe(503);
    }
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(MOST);

    await server.set('synchronous_standby_names', '');
    for (const parameters of reports) {
      await until('the callback to be answered 204', async () => {
        const { status } = await postCallback(application, { parameters });
        return status === 204;
      });
    }
    const [stored] = await server.query<{ count: number }>('select count(*)::int from message_events');
    expect(stored?.count).toBe(100);
    await until('each policy failure to have its fallback', async () => {
      const [row] = await server.query<{ count: number }>('select count(*)::int from sms_fallbacks');
      return row?.count === 50;
    });
    await until('no job to be left', async () => {
      const [jobs] = await server.query<{ count: number }>(
        `select count(*)::int from whatsapp_sms_fallback_queue._private_jobs where payload->>'name' = 'whatsapp.policy_failed'`,
      );
      return jobs?.count === 0;
    });
  });
});
