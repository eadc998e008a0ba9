import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { clientOptions } from '../../src/database/data-source-options.js';
import { postgresServer } from '../../src/database/database-connection.js';
import { WritableClient } from '../../src/database/writable-client.js';
import { TestApplication } from '../support/application.js';
import { describeWithOwnServer, OwnPostgres } from '../support/own-postgres.js';
import { until } from '../support/until.js';
import { postCallback, statusParameters } from '../webhooks/post-callback.js';

jest.setTimeout(120_000);

/** Acts like a DNS name or a virtual address: new connections go to its target, and the others stay. */
class Switch {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    public target: number,
  ) {
    server.on('connection', (near: Socket) => {
      const far = connect(this.target, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.sockets.add(one);
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.once('close', () => {
          this.sockets.delete(one);
          other.destroy();
        });
      }
    });
  }

  static async to(target: number): Promise<Switch> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Switch(server, target);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

describeWithOwnServer('the service after a failover', () => {
  let old: OwnPostgres;
  let next: OwnPostgres;
  let name: Switch;
  let application: TestApplication | undefined;

  beforeEach(async () => {
    old = await OwnPostgres.start();
    await old.migrate();
    next = await OwnPostgres.standbyOf(old);
    name = await Switch.to(old.port);
  });

  afterEach(async () => {
    await application?.close();
    application = undefined;
    name.close();
    await next.close();
    await old.close();
  });

  async function startOn(url: string): Promise<TestApplication> {
    application = await TestApplication.start({ database: postgresServer(url) });
    return application;
  }

  /** Sends several at once, so that the pool opens several connections. */
  async function callbacks(count: number): Promise<number[]> {
    const { origin } = application as TestApplication;
    const answers = await Promise.all(Array.from({ length: count }, () => postCallback({ origin })));
    return answers.map(({ status }) => status);
  }

  async function countOn(server: OwnPostgres): Promise<number> {
    const [row] = await server.query<{ count: number }>('select count(*)::int from message_events');
    return row?.count ?? 0;
  }

  const ways = [
    ['its name points elsewhere', () => [name.port]],
    ['DATABASE_URL has both', () => [old.port, next.port]],
  ] as const;

  it.each(ways)('stores callbacks on the new primary if the old is read-only and %s', async (_, ports) => {
    const hosts = ports().map((port) => `127.0.0.1:${port}`);
    await startOn(`postgresql://postgres@${hosts.join()}/postgres`);
    // Opens connections in all pools.
    await (application as TestApplication).query('select pg_sleep(0)');
    await Promise.all(
      Array.from({ length: 6 }, () => (application as TestApplication).query('select pg_sleep(0.3)')),
    );
    expect(await callbacks(5)).toEqual([204, 204, 204, 204, 204]);

    await until('the standby to have followed', async () => (await countOn(next)) === 5);
    await old.set('default_transaction_read_only', 'on');
    await next.promote();
    name.target = next.port;
    await until('the setting to be in force', async () => {
      const [row] = await (application as TestApplication).query('show default_transaction_read_only');
      return row?.default_transaction_read_only === 'on';
    }).catch(() => undefined);

    const parameters = statusParameters();
    expect((await postCallback(application as TestApplication, { parameters })).status).toBe(204);
    expect(await callbacks(5)).toEqual([204, 204, 204, 204, 204]);
    expect(await countOn(next)).toBe(11);
    expect(await countOn(old)).toBe(5);
  });

  it('stores callbacks on the new primary if the old is gone and DATABASE_URL has both', async () => {
    await startOn(`postgresql://postgres@127.0.0.1:${old.port},127.0.0.1:${next.port}/postgres`);
    expect(await callbacks(3)).toEqual([204, 204, 204]);
    await until('the standby to have followed', async () => (await countOn(next)) === 3);
    await old.stopAtOnce();
    expect((await callbacks(1))[0]).toBe(503);
    await next.promote();
    expect(await callbacks(3)).toEqual([204, 204, 204]);
    expect(await countOn(next)).toBe(6);
  });

  async function connectTo(url: string): Promise<number | undefined> {
    const client = new WritableClient({
      ...clientOptions(postgresServer(url)),
      connectionTimeoutMillis: 8_000,
    });
    await client.connect();
    try {
      const { rows } = await client.query<{ port: number }>('select inet_server_port() as port');
      return rows[0]?.port;
    } finally {
      await client.end();
    }
  }

  it('connects to the server that can write, whatever the order of the hosts', async () => {
    const query = '/postgres?target_session_attrs=read-write';
    const hosts = [`127.0.0.1:${next.port}`, `localhost:${old.port}`];
    expect(await connectTo(`postgresql://postgres@${hosts.join()}${query}`)).toBe(old.port);
    expect(await connectTo(`postgresql://postgres@${hosts.reverse().join()}${query}`)).toBe(old.port);
  });

  it('leaves time for the other hosts if one does not answer', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    try {
      const url = `postgresql://postgres@127.0.0.1:${port},127.0.0.1:${old.port}/postgres`;
      expect(await connectTo(url)).toBe(old.port);
    } finally {
      silent.close();
    }
  });

  it('refuses a standby by its name, and accepts it with target_session_attrs=any', async () => {
    const url = `postgresql://postgres@127.0.0.1:${next.port}/postgres`;
    await expect(connectTo(url)).rejects.toThrow(`127.0.0.1:${next.port} is a standby, which cannot write`);
    expect(await connectTo(`${url}?target_session_attrs=any`)).toBe(next.port);
  });

  it('refuses a server that is closed for writing, and says by what', async () => {
    await old.query('alter database postgres set default_transaction_read_only = on');
    const hosts = `127.0.0.1:${old.port},127.0.0.1:${next.port}`;
    const connecting = connectTo(`postgresql://postgres:s3cr3t@${hosts}/postgres`);
    await expect(connecting).rejects.toThrow(
      `127.0.0.1:${old.port} is read-only: default_transaction_read_only is on (database); ` +
        `127.0.0.1:${next.port} is a standby, which cannot write`,
    );
    await expect(connecting).rejects.not.toThrow('s3cr3t');
  });
});
