import { setTimeout as delay } from 'node:timers/promises';

/** How long a session may take to answer a cancel request. */
const CANCELLED_LIMIT_MILLISECONDS = 3_000;

/** How long a session may take to end before the service checks on it. */
const ENDED_LIMIT_MILLISECONDS = 5_000;

/** PostgreSQL ends a session that is not authenticated by then (authentication_timeout: 60 s). */
const BEGINNING_LIMIT_MILLISECONDS = 65_000;

/** Starts like node-postgres's own message. */
const TIMEOUT_MESSAGE =
  'timeout exceeded when trying to connect: sessions that were given up are not over at the server';

interface Server {
  open: number;
  readonly waiting: (() => void)[];
}

/**
 * Counts connections by server until they have ended **at the server**, so that a pool does not replace a closed one
 * while its session still takes a place on the server.
 */
export class ServerConnections {
  private readonly servers = new Map<string, Server>();

  /** @param most the maximum number of open connections to one server. */
  constructor(private readonly most: number) {}

  /**
   * Waits for a place on the server.
   * @returns a function that frees the place.
   * @throws Error when no place is free within the limit, in milliseconds.
   */
  async take(name: string, limit: number): Promise<() => void> {
    const server = this.servers.get(name) ?? { open: 0, waiting: [] };
    this.servers.set(name, server);
    if (server.open < this.most) server.open += 1;
    else await this.untilGivenBack(server, limit);
    let isGivenBack = false;
    return () => {
      if (isGivenBack) return;
      isGivenBack = true;
      const next = server.waiting.shift();
      if (next !== undefined) next();
      else server.open -= 1;
    };
  }

  private untilGivenBack(server: Server, limit: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const taken = () => {
        clearTimeout(timer);
        resolve();
      };
      const fail = () => {
        server.waiting.splice(server.waiting.indexOf(taken), 1);
        reject(new Error(TIMEOUT_MESSAGE));
      };
      const timer = limit === Infinity ? undefined : setTimeout(fail, limit);
      server.waiting.push(taken);
    });
  }
}

/** The client's side of a connection that is no longer used. */
export interface EndingConnection {
  /** Resolves when the server has closed it. */
  readonly closed: Promise<unknown>;
  /** Resolves when the server is ready for a statement. */
  readonly ready: Promise<unknown>;
  /** Asks the server to end the session after the current statement. */
  end(): void;
  destroy(): void;
  /** Asks the server to cancel the current statement; undefined if there is none. */
  readonly cancel?: () => Promise<void>;
  /** Ends the session from another one. @returns whether it is over; undefined if it has not begun. */
  readonly terminate?: () => Promise<boolean>;
}

/**
 * Resolves when the session is over at the server. If a client only hangs up, its session may keep waiting, e.g. for a
 * standby to confirm a commit, and takes a place on the server meanwhile.
 */
export async function endAtServer(connection: EndingConnection): Promise<void> {
  if (connection.cancel !== undefined) {
    await connection.cancel().catch(() => undefined);
    await within(CANCELLED_LIMIT_MILLISECONDS, Promise.race([connection.ready, connection.closed]));
  }
  connection.end();
  if (connection.terminate === undefined) {
    await within(BEGINNING_LIMIT_MILLISECONDS, connection.closed);
  } else {
    // If the network lost the connection, its session ends only when another session terminates it.
    while (!(await within(ENDED_LIMIT_MILLISECONDS, connection.closed))) {
      if (await connection.terminate().catch(() => false)) break;
    }
  }
  connection.destroy();
}

/** @returns whether the event happened in time. */
export async function within(milliseconds: number, event: Promise<unknown>): Promise<boolean> {
  const happened = new AbortController();
  const limit = delay(milliseconds, false, { ref: false, signal: happened.signal });
  try {
    return await Promise.race([event.then(() => true), limit]);
  } finally {
    happened.abort();
    limit.catch(() => undefined);
  }
}
