import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Client, Pool, type PoolConfig } from 'pg';
import { clientOptions } from '../../src/database/data-source-options.js';
import { type DatabaseConnection, postgresServer } from '../../src/database/database-connection.js';
import { ReliableClient } from '../../src/database/reliable-client.js';
import { ServerConnections } from '../../src/database/server-connections.js';
import { createEmptyDatabase, describeOnServer } from '../support/test-database.js';
import { until } from '../support/until.js';

jest.setTimeout(120_000);

const MOST = 2;

/** Acts like a firewall that forgets its connections: their packets vanish, and new connections work. */
class ForgetfulLine {
  private readonly pairs = new Set<readonly [Socket, Socket]>();

  private constructor(private readonly server: Server) {}

  static async to(url: URL): Promise<ForgetfulLine> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const line = new ForgetfulLine(server);
    server.on('connection', (near: Socket) => {
      const far = connect({
        port: Number(url.port === '' ? 5432 : url.port),
        host: url.hostname,
        allowHalfOpen: true,
      });
      for (const socket of [near, far]) socket.on('error', () => undefined);
      near.pipe(far);
      far.pipe(near);
      line.pairs.add([near, far]);
    });
    return line;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  forget(): void {
    for (const [near, far] of this.pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.resume();
      far.resume();
    }
  }

  close(): void {
    this.server.close();
    for (const sockets of this.pairs) for (const socket of sockets) socket.destroy();
  }
}

// The embedded database has one session for all connections.
describeOnServer('an abandoned session', () => {
  let database: DatabaseConnection;
  let line: ForgetfulLine;
  let pool: Pool;

  beforeEach(async () => {
    database = await createEmptyDatabase();
    const url = new URL(String(database.client.connectionString));
    line = await ForgetfulLine.to(new URL(url));
    url.host = `127.0.0.1:${line.port}`;
    const options = {
      ...clientOptions(postgresServer(url.href), { statement_timeout: '0' }),
      Client: ReliableClient as unknown as PoolConfig['Client'],
      serverConnections: new ServerConnections(MOST),
      max: MOST,
      query_timeout: 3_000,
      connectionTimeoutMillis: 30_000,
    };
    pool = new Pool(options);
    pool.on('error', () => undefined);
  });

  afterEach(async () => {
    await pool.end();
    line.close();
    await database.close();
  });

  async function pids(): Promise<number[]> {
    const client = new Client({ ...database.client, application_name: 'test' });
    await client.connect();
    try {
      const { rows } = await client.query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database() and application_name <> 'test'`,
      );
      return rows.map(({ pid }) => pid);
    } finally {
      await client.end();
    }
  }

  it('is canceled and frees its connection', async () => {
    const hanging = Array.from({ length: MOST }, () => pool.query('select pg_sleep(600)'));
    await until('them to hang', async () => (await pids()).length === MOST);
    const before = await pids();
    for (const query of hanging) await expect(query).rejects.toThrow('Query read timeout');
    await pool.query('select 1');
    await until('them to be over', async () => !(await pids()).some((pid) => before.includes(pid)));
  });

  it('is terminated if it does not notice, and keeps its connection until then', async () => {
    await Promise.all(Array.from({ length: MOST }, () => pool.query('select pg_sleep(0.5)')));
    const before = await pids();
    expect(before).toHaveLength(MOST);
    line.forget();
    const lost = Array.from({ length: MOST }, () => pool.query('select 1'));
    for (const query of lost) await expect(query).rejects.toThrow('Query read timeout');
    let most = 0;
    let isAnswered = false;
    const answered = pool.query('select 1').finally(() => (isAnswered = true));
    await until(
      'another session to answer',
      async () => {
        most = Math.max(most, (await pids()).length);
        return isAnswered;
      },
      60_000,
    );
    await answered;
    // Includes the session that terminates it.
    expect(most).toBeLessThanOrEqual(MOST + 1);
    await until('both to be over', async () => !(await pids()).some((pid) => before.includes(pid)), 60_000);
  });

  it('keeps its connection until something ends it', async () => {
    const places = new ServerConnections(1);
    const giveBack = await places.take('server', 1_000);
    await expect(places.take('server', 100)).rejects.toThrow('timeout exceeded when trying to connect');
    const next = places.take('server', 20_000);
    giveBack();
    giveBack();
    const giveNextBack = await next;
    await expect(places.take('server', 100)).rejects.toThrow('timeout exceeded');
    giveNextBack();
    await places.take('server', 1_000);
    await places.take('another server', 1_000);
  });
});
