import { appendFile, chown, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort, PostgresServer } from '../harness/postgres-server.js';
import type { PlannedFailover } from './failover-schedule.js';
import type { FailoverCounts, FailoverServers, Moments } from './failovers.js';
import type { ReplicaName } from './fault-schedule.js';
import type { Addresses } from './options.js';
import { TcpProxy } from './tcp-proxy.js';

/** The name of the server that follows the other one. */
const STANDBY = 'standby';

/** A limit against hangs: on a busy machine, a server takes long to follow. */
const FOLLOWING_LIMIT_MILLISECONDS = 60_000;

/** The maximum time that a name or a virtual address leads to the wrong server after a promotion. */
const STALE_LIMIT_MILLISECONDS = 4_000;

/** A server with the address that always leads to it. */
interface Node {
  readonly name: string;
  readonly server: PostgresServer;
  readonly host: TcpProxy;
}

/**
 * A primary and its synchronous standby. The service reaches them by one address that follows the primary late or
 * wrongly, or by their two own addresses.
 */
export class PostgresCluster implements FailoverServers {
  #copies = 0;
  #staleAddresses = 0;
  #isAway = false;
  #lastAwayAt = 0;
  #rejoining: Promise<void> = Promise.resolve();

  private constructor(
    private primary: Node,
    private standby: Node,
    /** The application's address, which is never wrong. */
    private readonly rightAddress: TcpProxy,
    /** The service's address. */
    private readonly address: TcpProxy,
    private readonly addresses: Addresses,
    private readonly say: (text: string) => void,
  ) {}

  static async start(
    folder: string,
    addresses: Addresses,
    say: (text: string) => void,
  ): Promise<PostgresCluster> {
    const [portA, portB] = [await freePort(), await freePort()];
    const primary = await node(folder, 'A', portA, portB);
    const standby = await node(folder, 'B', portB, portA);
    const proxies = [await TcpProxy.start(portA), await TcpProxy.start(portA)] as const;
    const cluster = new PostgresCluster(primary, standby, ...proxies, addresses, say);
    try {
      // pg_rewind needs checksums, and every WAL file since the servers parted, also when it runs the recovery itself.
      await primary.server.initialize('--data-checksums');
      await appendFile(join(primary.server.data, 'postgresql.conf'), `wal_keep_size = '1GB'\n`);
      await primary.server.startAgain();
      await cluster.#copy(standby.server, primary.server);
      await cluster.#makeSynchronous();
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get url(): string {
    return urlOf(this.rightAddress.port);
  }

  /** With both kinds of addresses, the first replica uses the proxy and the second one uses both hosts. */
  serviceUrl(replica: ReplicaName): string {
    const hasHosts = this.addresses === 'hosts' || (this.addresses === 'both' && replica !== 'A');
    if (!hasHosts) return urlOf(this.address.port);
    const nodes = [this.primary, this.standby].sort((left, right) => left.name.localeCompare(right.name));
    const hosts = nodes.map(({ host }) => `127.0.0.1:${String(host.port)}`);
    return `postgresql://postgres@${hosts.join(',')}/postgres?target_session_attrs=read-write`;
  }

  counts(): FailoverCounts {
    return [
      ['of them with an address that led to the standby', this.#staleAddresses],
      ['old primaries that could not be rewound and were copied anew', this.#copies],
    ];
  }

  wasAwaySince(time: number): boolean {
    return this.#isAway || this.#lastAwayAt >= time;
  }

  describe({ address, end, hangs, unnoticed, addressDelay, killedReplica }: PlannedFailover): string {
    const parts = [
      ...(hangs > 0 ? [`commits hang for ${String(hangs)} ms`] : []),
      `primary ${end}`,
      `promotion after ${String(unnoticed)} ms`,
      `address ${address}${addressDelay > 0 ? ` and ${String(addressDelay)} ms` : ''}`,
      ...(killedReplica === null ? [] : [`kill -9 of replica ${killedReplica}`]),
    ];
    return parts.join(', ');
  }

  async failOver(plan: PlannedFailover): Promise<Moments> {
    const { primary: old, standby: next } = this;
    this.#isAway = true;
    await this.#endPrimary(plan);
    const endedAt = Date.now();
    await delay(plan.unnoticed);
    // There is no standby yet that could confirm a commit.
    await this.#setSynchronous(next.server, '');
    await next.server.execute('pg_ctl', '-D', next.server.data, '-w', 'promote');
    const promotedAt = Date.now();
    this.rightAddress.leadTo(next.server.port);
    this.rightAddress.cut();
    [this.primary, this.standby] = [next, old];
    this.#rejoining = this.#rejoin(old, next);
    await this.#whileAddressIsWrong(plan);
    this.address.leadTo(next.server.port);
    if (plan.address === 'at_once') this.address.cut();
    this.#isAway = false;
    this.#lastAwayAt = Date.now();
    return { endedAt, promotedAt, reachableAt: Date.now() };
  }

  async #whileAddressIsWrong({ address, addressDelay }: PlannedFailover): Promise<void> {
    const limit = delay(STALE_LIMIT_MILLISECONDS, false);
    if (address === 'stale') {
      const isStandby = await Promise.race([this.#rejoining.then(() => true), limit]);
      if (isStandby) this.#staleAddresses += 1;
    }
    await Promise.race([delay(addressDelay), limit]);
  }

  async repair(): Promise<void> {
    await this.#rejoining;
    await this.#makeSynchronous();
  }

  async findWrongConnections(): Promise<string[]> {
    const rows = await query<{ connection: string }>(
      this.standby.server,
      `select concat_ws(' ', pid, application_name, state, state_change) as connection
         from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    );
    return rows.map(({ connection }) => connection);
  }

  async close(): Promise<void> {
    await this.#rejoining.catch(() => undefined);
    for (const { server, host } of [this.primary, this.standby]) {
      await server.close();
      await host.close();
    }
    await this.address.close();
    await this.rightAddress.close();
  }

  async #endPrimary({ hangs, end }: PlannedFailover): Promise<void> {
    const { server } = this.primary;
    const receivers = (await this.standby.server.children()).filter(({ command }) =>
      command.includes('walreceiver'),
    );
    if (hangs > 0) for (const { pid } of receivers) process.kill(pid, 'SIGSTOP');
    await delay(hangs);
    if (end === 'silent') for (const address of this.#all) address.silence(server.port);
    if (hangs > 0 && end === 'stopped') for (const { pid } of receivers) process.kill(pid, 'SIGCONT');
    if (end === 'stopped') await server.stop();
    else await server.kill();
    if (hangs > 0 && end !== 'stopped') for (const { pid } of receivers) process.kill(pid, 'SIGCONT');
  }

  /** The service's addresses. */
  get #all(): TcpProxy[] {
    return [this.address, this.primary.host, this.standby.host];
  }

  async #rejoin({ name, server }: Node, { server: primary }: Node): Promise<void> {
    try {
      // The rewind needs to see the new timeline in the control file.
      await query(primary, 'checkpoint');
      await server.execute('pg_rewind', '-D', server.data, '--source-server', connectionTo(primary));
      for (const address of this.#all) address.unsilence(server.port);
      await startAsStandby(server);
      await this.#untilFollowed(primary);
    } catch (error) {
      this.#copies += 1;
      const reason = error instanceof Error ? error.message : String(error);
      this.say(`server ${name} could not be rewound, so it is copied anew: ${reason}`);
      await server.close();
      await rm(server.data, { recursive: true, force: true });
      for (const address of this.#all) address.unsilence(server.port);
      await this.#copy(server, primary);
    }
  }

  async #copy(server: PostgresServer, primary: PostgresServer): Promise<void> {
    await server.execute('pg_basebackup', '-D', server.data, '-d', connectionTo(primary), '-c', 'fast');
    await startAsStandby(server);
    await this.#untilFollowed(primary);
  }

  async #makeSynchronous(): Promise<void> {
    await this.#setSynchronous(this.primary.server, STANDBY);
    await this.#untilFollowed(this.primary.server, 'sync');
  }

  async #setSynchronous(server: PostgresServer, name: string): Promise<void> {
    await query(server, `alter system set synchronous_standby_names = '${name}'`);
    await query(server, 'select pg_reload_conf()');
  }

  async #untilFollowed(primary: PostgresServer, syncState?: 'sync'): Promise<void> {
    const end = Date.now() + FOLLOWING_LIMIT_MILLISECONDS;
    for (;;) {
      const rows = await query<{ sync_state: string }>(
        primary,
        `select sync_state from pg_stat_replication where state = 'streaming'`,
      );
      if (rows.some(({ sync_state }) => sync_state === (syncState ?? sync_state))) return;
      if (Date.now() > end) throw new Error('The standby does not follow the primary');
      await delay(50);
    }
  }
}

async function node(folder: string, name: string, port: number, otherPort: number): Promise<Node> {
  const server = await PostgresServer.prepare(join(folder, `postgres-${name}`), port, {
    primary_conninfo: `host=127.0.0.1 port=${String(otherPort)} user=postgres application_name=${STANDBY}`,
    wal_retrieve_retry_interval: '200ms',
  });
  return { name, server, host: await TcpProxy.start(port) };
}

async function startAsStandby(server: PostgresServer): Promise<void> {
  const signal = join(server.data, 'standby.signal');
  await writeFile(signal, '');
  const { uid, gid } = await stat(server.data);
  await chown(signal, uid, gid);
  await server.startAgain();
}

/** Queries a server directly, past every address. */
async function query<Row extends object>(server: PostgresServer, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: server.url, application_name: 'chaos' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<Row>(sql);
    return rows;
  } finally {
    await client.end();
  }
}

function connectionTo({ port }: PostgresServer): string {
  return `host=127.0.0.1 port=${String(port)} user=postgres dbname=postgres`;
}

function urlOf(port: number): string {
  return `postgresql://postgres@127.0.0.1:${String(port)}/postgres`;
}
