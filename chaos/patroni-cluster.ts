import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { findPrograms, freePort, killPostgres, ownFolder, type User } from '../harness/postgres-server.js';
import { UsageError } from '../simulator/command-line.js';
import type { PlannedFailover } from './failover-schedule.js';
import type { FailoverCounts, FailoverServers, Moments } from './failovers.js';
import type { ReplicaName } from './fault-schedule.js';
import type { Addresses } from './options.js';
import { haproxySettings, patroniSettings } from './patroni-settings.js';
import { isOk } from './readiness.js';
import { TcpProxy } from './tcp-proxy.js';

const PROGRAMS = ['patroni', 'patronictl', 'etcd', 'haproxy'] as const;

type Programs = Readonly<Record<(typeof PROGRAMS)[number], string>>;

/** A limit against hangs, for everything that the cluster does by itself. */
const LIMIT_MILLISECONDS = 180_000;

/** A server that Patroni runs. */
export interface PatroniNode {
  readonly name: string;
  readonly port: number;
  /** The port of its REST API. */
  readonly apiPort: number;
  readonly folder: string;
  readonly user: User;
}

interface Member {
  readonly name: string;
  readonly role: string;
  readonly state: string;
}

/** Three servers that Patroni runs with a synchronous standby, their etcd, and HAProxy as the service's address. */
export class PatroniCluster implements FailoverServers {
  readonly #processes = new Map<string, ChildProcess>();
  #isAway = false;
  #lastAwayAt = 0;
  #leader: PatroniNode;
  #killed: PatroniNode | undefined;

  private constructor(
    private readonly programs: Programs,
    private readonly folder: string,
    private readonly nodes: readonly [PatroniNode, PatroniNode, PatroniNode],
    private readonly rightAddress: TcpProxy,
    private readonly haproxyPort: number,
    private readonly addresses: Addresses,
  ) {
    this.#leader = nodes[0];
  }

  /** @throws UsageError naming the programs that are missing. */
  static async start(folder: string, addresses: Addresses): Promise<PatroniCluster> {
    const programs = locate();
    const nodes = [
      await newNode(folder, 'A'),
      await newNode(folder, 'B'),
      await newNode(folder, 'C'),
    ] as const;
    const rightAddress = await TcpProxy.start(nodes[0].port);
    const cluster = new PatroniCluster(
      programs,
      folder,
      [...nodes],
      rightAddress,
      await freePort(),
      addresses,
    );
    try {
      await cluster.#startAll();
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get url(): string {
    return urlOf(`127.0.0.1:${String(this.rightAddress.port)}`);
  }

  counts(): FailoverCounts {
    const logs = this.nodes.map(({ name }) => readFileSync(this.#logOf(`patroni-${name}`), 'utf8'));
    const copies = logs.flatMap((log) => log.match(/replica has been created/g) ?? []).length;
    // Not counting the initial copies.
    return [['servers that were copied from the leader', copies - (this.nodes.length - 1)]];
  }

  serviceUrl(replica: ReplicaName): string {
    const hasHosts = this.addresses === 'hosts' || (this.addresses === 'both' && replica !== 'A');
    if (!hasHosts) return urlOf(`127.0.0.1:${String(this.haproxyPort)}`);
    const hosts = this.nodes.map(({ port }) => `127.0.0.1:${String(port)}`);
    return `${urlOf(hosts.join(','))}?target_session_attrs=read-write`;
  }

  wasAwaySince(time: number): boolean {
    return this.#isAway || this.#lastAwayAt >= time;
  }

  describe({ end, killedReplica }: PlannedFailover): string {
    const what =
      end === 'stopped' ? 'patronictl switchover' : 'kill -9 of the leader’s Patroni and PostgreSQL';
    return killedReplica === null ? what : `${what}, kill -9 of replica ${killedReplica}`;
  }

  async failOver(plan: PlannedFailover): Promise<Moments> {
    const old = this.#leader;
    this.#isAway = true;
    if (plan.end === 'stopped') await this.#switchOver();
    else await this.#kill(old);
    const endedAt = Date.now();
    await until('another server is the leader', async () => {
      const leader = await this.#findLeader();
      if (leader === undefined || leader === old) return false;
      this.#leader = leader;
      return true;
    });
    const promotedAt = Date.now();
    this.rightAddress.leadTo(this.#leader.port);
    this.rightAddress.cut();
    await until('HAProxy leads to the leader', () => isPrimary(this.haproxyPort));
    this.#isAway = false;
    this.#lastAwayAt = Date.now();
    return { endedAt: Math.min(endedAt, promotedAt), promotedAt, reachableAt: Date.now() };
  }

  async repair(): Promise<void> {
    if (this.#killed !== undefined) await this.#startPatroni(this.#killed);
    this.#killed = undefined;
    await until('every server follows the leader, one of them synchronously', () => this.#isRedundant());
  }

  async findWrongConnections(): Promise<string[]> {
    const standbys = this.nodes.filter((node) => node !== this.#leader);
    const found = await Promise.all(
      standbys.map(({ port }) =>
        query<{ connection: string }>(
          port,
          `select concat_ws(' ', pid, application_name, state, state_change) as connection
             from pg_stat_activity
            where backend_type = 'client backend' and usename = 'postgres' and application_name <> 'chaos'`,
        ),
      ),
    );
    return found.flat().map(({ connection }) => connection);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#processes.values()].map(endProcess));
    for (const { folder } of this.nodes) {
      const data = join(folder, 'cluster');
      if (existsSync(join(data, 'postmaster.pid'))) await killPostgres(data);
    }
    await this.rightAddress.close();
  }

  async #startAll(): Promise<void> {
    const [etcdPort, peerPort] = [await freePort(), await freePort()];
    const [client, peer] = [etcdPort, peerPort].map((port) => `http://127.0.0.1:${String(port)}`);
    const etcdArguments = [
      ...['--data-dir', join(this.folder, 'etcd'), '--initial-cluster', `default=${String(peer)}`],
      ...['--listen-client-urls', String(client), '--advertise-client-urls', String(client)],
      ...['--listen-peer-urls', String(peer), '--initial-advertise-peer-urls', String(peer)],
    ];
    this.#spawn('etcd', this.programs.etcd, etcdArguments);
    await until('etcd answers', () => isOk(`${String(client)}/health`));
    for (const node of this.nodes) {
      const settings = patroniSettings(node, etcdPort, findPrograms());
      await writeFile(this.#settingsOf(node), JSON.stringify(settings));
      await this.#startPatroni(node);
      if (node === this.#leader) await until('a leader', async () => (await this.#findLeader()) === node);
    }
    await query(this.#leader.port, 'create role postgres superuser login', 'patroni');
    await until('a synchronous standby', () => this.#isRedundant());
    const settingsFile = join(this.folder, 'haproxy.cfg');
    await writeFile(settingsFile, haproxySettings(this.haproxyPort, this.nodes));
    this.#spawn('haproxy', this.programs.haproxy, ['-db', '-f', settingsFile]);
    await until('HAProxy leads to the leader', () => isPrimary(this.haproxyPort));
  }

  async #startPatroni(node: PatroniNode): Promise<void> {
    this.#spawn(`patroni-${node.name}`, this.programs.patroni, [this.#settingsOf(node)], node.user);
    await until('Patroni answers', () => isOk(`http://127.0.0.1:${String(node.apiPort)}/liveness`));
  }

  async #kill(node: PatroniNode): Promise<void> {
    const patroni = this.#processes.get(`patroni-${node.name}`);
    if (patroni !== undefined) await endProcess(patroni);
    await killPostgres(join(node.folder, 'cluster'));
    this.#killed = node;
  }

  async #switchOver(): Promise<void> {
    const args = ['-c', this.#settingsOf(this.#leader), 'switchover', '--force'];
    await promisify(execFile)(this.programs.patronictl, args, { timeout: LIMIT_MILLISECONDS });
  }

  async #findLeader(): Promise<PatroniNode | undefined> {
    for (const node of this.nodes) {
      if (await isOk(`http://127.0.0.1:${String(node.apiPort)}/primary`)) return node;
    }
    return undefined;
  }

  async #isRedundant(): Promise<boolean> {
    const response = await fetch(`http://127.0.0.1:${String(this.#leader.apiPort)}/cluster`);
    const { members } = (await response.json()) as { members: readonly Member[] };
    return (
      members.length === this.nodes.length &&
      members.every(({ state }) => state === 'running' || state === 'streaming') &&
      members.some(({ role }) => role === 'sync_standby')
    );
  }

  #spawn(name: string, program: string, args: readonly string[], user: User = {}): void {
    const log = openSync(this.#logOf(name), 'a');
    const env = { PATH: process.env.PATH, LANG: 'C.UTF-8' };
    const options = { ...user, cwd: this.folder, env, stdio: ['ignore', log, log], detached: true } as const;
    this.#processes.set(name, spawn(program, args, { ...options, stdio: ['ignore', log, log] }));
    closeSync(log);
  }

  #logOf(name: string): string {
    return join(this.folder, `${name}.log`);
  }

  #settingsOf({ folder }: PatroniNode): string {
    return join(folder, 'patroni.json');
  }
}

async function newNode(folder: string, name: string): Promise<PatroniNode> {
  const own = join(folder, `postgres-${name}`);
  const user = await ownFolder(own);
  return { name, port: await freePort(), apiPort: await freePort(), folder: own, user };
}

function locate(): Programs {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/sbin'];
  const find = (name: string) => folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const missing = PROGRAMS.filter((name) => find(name) === undefined);
  if (missing.length > 0) {
    throw new UsageError(
      `--patroni needs ${missing.join(', ')}: on Debian, install patroni, etcd-server and haproxy`,
    );
  }
  return Object.fromEntries(PROGRAMS.map((name) => [name, find(name)])) as Programs;
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Waits for a condition. @throws an error naming the condition that was not met in time. */
async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + LIMIT_MILLISECONDS;
  while (!(await is().catch(() => false))) {
    if (Date.now() > end) throw new Error(`Not within three minutes: ${what}`);
    await delay(100);
  }
}

async function isPrimary(port: number): Promise<boolean> {
  const [row] = await query<{ is: boolean }>(port, 'select not pg_is_in_recovery() as is');
  return row?.is ?? false;
}

async function query<Row extends object>(port: number, sql: string, user = 'postgres'): Promise<Row[]> {
  const client = new Client({
    connectionString: urlOf(`127.0.0.1:${String(port)}`, user),
    application_name: 'chaos',
    connectionTimeoutMillis: 2_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<Row>(sql);
    return rows;
  } finally {
    await client.end();
  }
}

function urlOf(hosts: string, user = 'postgres'): string {
  return `postgresql://${user}@${hosts}/postgres`;
}
