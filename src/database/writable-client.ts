import { lookup } from 'node:dns/promises';
import { isIP, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type ClientConfig, Connection, DatabaseError } from 'pg';
import { type DatabaseHost, parseDatabaseUrl, type TargetSession } from '../config/database-url.js';
import { endAtServer, type EndingConnection, type ServerConnections, within } from './server-connections.js';
import { type SessionSettings, type SessionState, sessionSetup, STATE_RESULT } from './session-settings.js';

export interface WritableClientConfig extends ClientConfig {
  /** Limits of the session. If given, all settings that the service depends on are made too; default: none are made. */
  readonly sessionLimits?: SessionSettings;
  /** The first schema of the session's search_path; default: it stays as it is. */
  readonly schema?: string | undefined;
  /** Counts the connection until it has ended at the server; default: it is not counted. */
  readonly serverConnections?: ServerConnections;
  /** Overrides the URL. */
  readonly target?: TargetSession;
}

/** The server that a new connection has reached cannot write. The code is that of a statement that tries. */
export class ReadOnlyServerError extends Error {
  override readonly name = 'ReadOnlyServerError';
  readonly code = '25006';

  constructor(
    message: string,
    readonly isStandby: boolean,
  ) {
    super(message);
  }
}

/** No host of DATABASE_URL could be used. */
export class NoServerError extends Error {
  override readonly name = 'NoServerError';

  /**
   * @param code SQLSTATE of a connection that cannot be made (08001), or 53300 if a usable server takes no more of
   * them.
   */
  constructor(
    message: string,
    readonly code: string,
    options: ErrorOptions,
  ) {
    super(message, options);
  }
}

const TOO_MANY_CONNECTIONS = '53300';
const CANNOT_CONNECT = '08001';

/** A possible target of a connection: a host and one of its addresses. */
interface Place extends Pick<DatabaseHost, 'host' | 'port'> {
  readonly address: string;
  readonly server: string;
  /** All current addresses of the host: `localhost` has two for one server. Connections are counted by this key. */
  readonly counted: string;
}

/** Properties that @types/pg lacks. */
interface Internals {
  host: string;
  port: number;
  connection: WireConnection;
  connectionParameters: { ssl?: ClientConfig['ssl']; sslnegotiation?: ClientConfig['sslnegotiation'] };
  processID: number | null;
  secretKey: number | null;
  _connecting: boolean;
  _connected: boolean;
  _connectionError: boolean;
  _ending: boolean;
  _ended: boolean;
  _queryable: boolean;
  _activeQuery: unknown;
  readyForQuery: boolean;
}

interface WireConnection extends Connection {
  readonly stream: Socket;
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

const CANCEL_LIMIT_MILLISECONDS = 2_000;
const TERMINATION_LIMIT_MILLISECONDS = 4_000;
const TERMINATION_LOOKS = 10;
const TERMINATION_PAUSE_MILLISECONDS = 100;

/** How long to wait for the end of an idle connection. */
const CLOSE_LIMIT_MILLISECONDS = 2_000;

/**
 * How long before the pool's own limit to stop. The pool would only hang up, and a server that is slow to start a
 * session would keep it.
 */
const BEFORE_POOLS_LIMIT_MILLISECONDS = 200;

/** The last writable server for the hosts of each DATABASE_URL. It is tried first. */
const lastWritable = new Map<string, string>();

/** Connections in use by server. */
const connected = new Map<string, Set<WritableClient>>();

/** Running terminations by server, one at a time. */
const terminating = new Map<string, Promise<unknown>>();

/**
 * A connection to a writable server, chosen from all hosts of a DATABASE_URL and all their addresses, with the settings
 * that the service depends on. node-postgres knows one host and accepts any server that it reaches:
 * https://github.com/brianc/node-postgres/issues/1470
 */
export class WritableClient extends Client {
  /** Private, because it holds the password. */
  readonly #config: WritableClientConfig;
  private readonly hosts: readonly Pick<DatabaseHost, 'host' | 'port'>[];
  private readonly target: TargetSession;
  private readonly limit: number;
  private place: Place | undefined;
  private session: SessionState | undefined;
  private giveBack: (() => void) | undefined;
  private isAbandoned = false;
  private isUnwanted = false;

  constructor(config: WritableClientConfig = {}) {
    const address = config.connectionString === undefined ? null : parseDatabaseUrl(config.connectionString);
    super({
      ...config,
      // A pool's options hide it from enumeration.
      ...(config.password !== undefined && { password: config.password }),
      ...(address !== null && { connectionString: address.hosts[0].url }),
      connectionTimeoutMillis: 0,
    });
    this.#config = config;
    this.hosts = address?.hosts ?? [{ host: this.host, port: this.port }];
    this.target = config.target ?? address?.target ?? 'any';
    const limit = config.connectionTimeoutMillis ?? 0;
    this.limit = limit > 0 ? Math.max(limit - BEFORE_POOLS_LIMIT_MILLISECONDS, limit / 2) : Infinity;
    // Between the pool's handover and TypeORM there is no listener, and an error would end the process.
    this.on('error', () => undefined);
    this.on('drain', () => {
      // A pool then removes it when it is released.
      if (this.isUnwanted && this.getTransactionStatus() === 'I') this.internals._queryable = false;
    });
  }

  override connect(): Promise<this>;
  override connect(connected: ((error: Error) => void) | ((error: null, client: Client) => void)): void;
  override connect(callback?: unknown): Promise<this> | undefined {
    const connecting = this.connectToOne();
    if (callback === undefined) return connecting;
    const done = callback as (error: unknown, client?: this) => void;
    connecting.then(
      () => {
        done(null, this);
      },
      (error: unknown) => {
        done(error);
      },
    );
    return undefined;
  }

  /** Hangs up only if nothing is under way: otherwise the server would not notice. */
  override end(): Promise<void>;
  override end(ended: (error: Error) => void): void;
  override end(ended?: unknown): Promise<void> | undefined {
    const isBusy = this.isBusy();
    const isUnderWay = isBusy || this.internals._connecting;
    const ending = this.abandon(isBusy, isUnderWay ? new Error('Connection terminated') : undefined);
    if (ended === undefined) return ending;
    void ending.then(ended as () => void);
    return undefined;
  }

  /** Whether an answer of the server is awaited. */
  protected isBusy(): boolean {
    return this.internals._activeQuery !== null;
  }

  /** Closes the connection during a statement, which fails with this error. */
  protected giveUpWith(error: Error): void {
    void this.abandon(true, error);
  }

  private get internals(): Internals {
    return this as unknown as Internals;
  }

  private get wire(): WireConnection {
    return this.internals.connection;
  }

  private get key(): string {
    return this.hosts.map(({ host, port }) => `${host}:${port}`).join();
  }

  private async connectToOne(): Promise<this> {
    const until = Date.now() + this.limit;
    const problems: { readonly server: string; readonly error: Error }[] = [];
    const places = await this.places();
    for (const [index, place] of places.entries()) {
      const left = until - Date.now();
      if (left <= 0 && index > 0) break;
      try {
        // A host whose packets vanish must not take the time of the others.
        await this.connectTo(place, left / (places.length - index));
        return this;
      } catch (error) {
        problems.push({ server: place.server, error: error as Error });
      }
    }
    throw this.hosts.length === 1 ? mostTelling(problems.map(({ error }) => error)) : noServer(problems);
  }

  /** Returns all addresses of all hosts, the last writable server first. */
  private async places(): Promise<Place[]> {
    const found = await Promise.allSettled(this.hosts.map((host) => placesOf(host, this.limit / 2)));
    const places = found.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    const [failed] = found.filter((result) => result.status === 'rejected');
    if (places.length === 0 && failed !== undefined) throw failed.reason as Error;
    const first = lastWritable.get(this.key);
    return places.sort((left, right) => Number(right.server === first) - Number(left.server === first));
  }

  private async connectTo(place: Place, limit: number): Promise<void> {
    const until = Date.now() + limit;
    this.giveBack = await this.#config.serverConnections?.take(place.counted, limit);
    this.begin(place);
    const timer = this.failAt(until);
    try {
      await super.connect();
      if (this.#config.sessionLimits !== undefined) await this.setUp(place, this.#config.sessionLimits);
    } catch (error) {
      void this.abandon(false);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (this.target !== 'any') lastWritable.set(this.key, place.server);
    connected.set(place.server, (connected.get(place.server) ?? new Set()).add(this));
  }

  private failAt(until: number): NodeJS.Timeout | undefined {
    if (until === Infinity) return undefined;
    return setTimeout(() => {
      this.wire.emit('error', new Error('timeout expired'));
    }, until - Date.now());
  }

  /** Resets the client, since node-postgres's client can connect only once. */
  private begin(place: Place): void {
    const connection = this.newWire(place);
    const state: Partial<Internals> = {
      connection,
      host: place.host,
      port: place.port,
      processID: null,
      secretKey: null,
      _connecting: false,
      _connected: false,
      _connectionError: false,
      _ending: false,
      _ended: false,
      _queryable: true,
      _activeQuery: null,
      readyForQuery: false,
    };
    Object.assign(this, state);
    this.place = place;
    this.session = undefined;
    this.isAbandoned = false;
    const { giveBack } = this;
    // Before the client's own listeners, for which a failed statement is no longer under way.
    connection.on('errorMessage', this.notice);
    connection.once('end', () => {
      connected.get(place.server)?.delete(this);
      giveBack?.();
    });
  }

  private newWire(place: Place): WireConnection {
    const { ssl, sslnegotiation } = this.internals.connectionParameters;
    const config = {
      ssl,
      sslNegotiation: sslnegotiation,
      keepAlive: this.#config.keepAlive,
      stream: () => socketTo(place),
    };
    return new Connection(config) as WireConnection;
  }

  private async setUp(place: Place, limits: SessionSettings): Promise<void> {
    const results = (await super.query(sessionSetup(limits, this.#config.schema))) as unknown as {
      rows: SessionState[];
    }[];
    this.session = results[STATE_RESULT]?.rows[0];
    if (this.session === undefined || this.target === 'any') return;
    const { inRecovery, readOnlyBy } = this.session;
    if (inRecovery) throw new ReadOnlyServerError(`${place.server} is a standby, which cannot write`, true);
    if (readOnlyBy !== null && this.target === 'read-write') {
      throw new ReadOnlyServerError(
        `${place.server} is read-only: default_transaction_read_only is on (${readOnlyBy})`,
        false,
      );
    }
  }

  private readonly notice = (error: DatabaseError): void => {
    if (!this.internals._connected || this.place === undefined) return;
    // The other connections to this server are stopped too, so that each does not have to find out on its own.
    if (cannotWrite(error)) {
      for (const client of connected.get(this.place.server) ?? []) client.stopUsing();
    } else if (isServersEnd(error)) this.stopUsing();
  };

  /** Stops after the current transaction, or at once if there is none. */
  private stopUsing(): void {
    this.isUnwanted = true;
    if (this.getTransactionStatus() !== 'I') return;
    if (this.isBusy()) {
      // Not only when the server is ready again: the error is reported earlier, and a pool already has others wait for
      // the connection.
      this.internals._queryable = false;
      return;
    }
    void this.abandon(false, new Error('Connection terminated: its server cannot write, or goes away'));
  }

  /**
   * Leaves the connection and ensures that its session ends.
   * @param isAtWork whether the session is in the middle of a statement.
   * @param error passed to pending queries and to listeners of the client.
   * @returns when the connection is closed, or would take long to close.
   */
  private async abandon(isAtWork: boolean, error?: Error): Promise<void> {
    const { wire, giveBack, place } = this;
    if (this.isAbandoned || place === undefined) return;
    this.isAbandoned = true;
    if (error !== undefined) wire.emit('error', error);
    this.internals._queryable = false;
    connected.get(place.server)?.delete(this);
    wire.removeAllListeners();
    wire.on('error', () => undefined);
    const canCancel = this.#config.sessionLimits !== undefined;
    // A server that was never reached holds nothing, and the embedded database has no session to cancel.
    if (wire.stream.connecting || wire.stream.destroyed || (isAtWork && !canCancel)) {
      wire.stream.destroy();
      giveBack?.();
      return;
    }
    const over = endAtServer(this.ending(place, isAtWork)).finally(() => {
      giveBack?.();
      this.emit('end');
    });
    if (!isAtWork) await within(CLOSE_LIMIT_MILLISECONDS, over);
    wire.stream.unref();
  }

  private ending(place: Place, isAtWork: boolean): EndingConnection {
    const { wire, session } = this;
    const { processID, secretKey } = this.internals;
    return {
      closed: new Promise((resolve) => wire.once('end', resolve)),
      ready: new Promise((resolve) => wire.once('readyForQuery', resolve)),
      end: () => {
        wire.end();
      },
      destroy: () => wire.stream.destroy(),
      ...(isAtWork && { cancel: () => this.cancel(place, processID ?? 0, secretKey ?? 0) }),
      ...(session !== undefined && { terminate: () => this.terminate(place, session) }),
    };
  }

  /** Sends a cancel request over a separate connection, which takes no place among the server's sessions. */
  private cancel(place: Place, processId: number, secretKey: number): Promise<void> {
    const { ssl, sslnegotiation } = this.internals.connectionParameters;
    const wire = this.newWire(place);
    return new Promise((resolve) => {
      const timer = setTimeout(() => wire.stream.destroy(), CANCEL_LIMIT_MILLISECONDS).unref();
      const send = () => {
        wire.cancel(processId, secretKey);
      };
      wire.on('error', () => undefined);
      wire.once('end', () => {
        clearTimeout(timer);
        resolve();
      });
      wire.once('sslconnect', send);
      wire.once('connect', () => {
        if (ssl === undefined || ssl === false) send();
        else if (sslnegotiation !== 'direct') wire.requestSsl();
      });
      wire.connect(place.port, place.host);
    });
  }

  /** @returns whether the session is over. Only one is terminated at a time, and the pool leaves a place for that. */
  private async terminate(place: Place, session: SessionState): Promise<boolean> {
    const before = terminating.get(place.server);
    const terminated = (async () => {
      await before?.catch(() => undefined);
      const limits = { connectionTimeoutMillis: TERMINATION_LIMIT_MILLISECONDS, target: 'any' } as const;
      const client = new WritableClient({ ...this.#config, serverConnections: undefined, ...limits });
      try {
        await client.connectTo(place, TERMINATION_LIMIT_MILLISECONDS);
        return await isTerminated(client, session);
      } finally {
        await client.end();
      }
    })();
    terminating.set(place.server, terminated);
    return terminated;
  }
}

/** A role that may not see when a session began may not end it, but can see that it exists. */
const SEEN = `
select backend_start is not null and $2::text is not null as "mayEnd" from pg_stat_activity
 where pid = $1 and (backend_start::text = $2 or backend_start is null or $2::text is null)`;

/** Also true if somebody else has ended the session. @returns false if it is alive, or if that is unknown. */
async function isTerminated(client: Client, { pid, startedAt }: SessionState): Promise<boolean> {
  for (let looks = 0; looks < TERMINATION_LOOKS; looks += 1) {
    const { rows } = await client.query<{ mayEnd: boolean }>(SEEN, [pid, startedAt]);
    if (rows.length === 0) return true;
    if (rows[0]?.mayEnd !== true) return false;
    await client.query('select pg_terminate_backend($1)', [pid]);
    await delay(TERMINATION_PAUSE_MILLISECONDS, undefined, { ref: false });
  }
  return false;
}

async function placesOf(
  { host, port }: Pick<DatabaseHost, 'host' | 'port'>,
  limit: number,
): Promise<Place[]> {
  const given = isIP(host) !== 0 || host.startsWith('/');
  const addresses = given ? [{ address: host }] : await lookUp(host, limit);
  const servers = addresses.map(({ address }) => nameOf(address, port));
  const counted = servers.toSorted().join();
  return addresses.map(({ address }) => ({ host, port, address, server: nameOf(address, port), counted }));
}

function nameOf(address: string, port: number): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Resolves a name within a limit. A lookup cannot be stopped, so its result is ignored after that. */
function lookUp(host: string, limit: number): Promise<{ address: string }[]> {
  return new Promise((resolve, reject) => {
    const fail = () => {
      reject(new Error(`the name ${host} cannot be resolved in time`));
    };
    const timer = limit === Infinity ? undefined : setTimeout(fail, limit);
    lookup(host, { all: true })
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
      });
  });
}

/** A socket that connects to the address instead of the host, which node-postgres would use. */
function socketTo({ address, port }: Place): Socket {
  const socket = new Socket();
  const connect = socket.connect.bind(socket);
  const path = `${address}/.s.PGSQL.${port}`;
  socket.connect = () => (address.startsWith('/') ? connect(path) : connect(port, address));
  return socket;
}

/** Picks the most useful error: an answer of a server says more than an unreachable address. */
function mostTelling(errors: readonly Error[]): Error {
  const said = errors.find((error) => error instanceof DatabaseError || error instanceof ReadOnlyServerError);
  return said ?? errors[0] ?? new Error('timeout expired');
}

function noServer(problems: readonly { readonly server: string; readonly error: Error }[]): NoServerError {
  const all = problems.map(({ server, error }) => {
    const { message } = error;
    return message.includes(server) ? message : `${server}: ${message}`;
  });
  const errors = problems.map(({ error }) => error);
  const isFull = errors.some(
    (error) => error instanceof DatabaseError && error.code === TOO_MANY_CONNECTIONS,
  );
  const message = `no server of DATABASE_URL can be used: ${all.join('; ')}`;
  return new NoServerError(message, isFull ? TOO_MANY_CONNECTIONS : CANNOT_CONNECT, {
    cause: mostTelling(errors),
  });
}

/**
 * SQLSTATE read_only_sql_transaction: a standby, or a server that was closed for writing. Nothing was written, and a new
 * connection may reach another server.
 */
function cannotWrite({ code }: DatabaseError): boolean {
  return code === '25006';
}

/**
 * SQLSTATEs after which a connection is never worth keeping. Source: PostgreSQL, appendix A.
 * - 08: connection exceptions; poolers use them for a server connection that broke.
 * - 57P01 to 57P05: the server or the session is being shut down, crashed, starts up, lost its database or was idle.
 * - 58: the server's disk or another part of its system failed, and another server may have been promoted.
 * - XX000: an internal error, such as a transaction that wants to write in a recovery that has begun meanwhile.
 *
 * Not 53 (disk full, out of memory, too many connections): a new connection would meet the same. Not 0A000 (not
 * supported), nor 55000 and 57014 (cancelled): the connection is as good as before.
 */
function isServersEnd({ code = '' }: DatabaseError): boolean {
  return /^(08...|57P0[1-5]|58...|XX000)$/.test(code);
}
