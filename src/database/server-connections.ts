import { setTimeout as delay } from 'node:timers/promises';

/** How long a session may take to answer a cancel request. */
const CANCELLED_LIMIT_MILLISECONDS = 3_000;

/** How long a session may take to end, before it is looked for. */
const ENDED_LIMIT_MILLISECONDS = 5_000;

/** PostgreSQL ends a session that is not authenticated by then (authentication_timeout: 60 s). */
const BEGINNING_LIMIT_MILLISECONDS = 65_000;

/** Begins as node-postgres's own. */
const TIMEOUT_MESSAGE =
  'timeout exceeded when trying to connect: sessions that were given up are not over at the server';

interface Server {
  open: number;
  readonly waiting: (() => void)[];
}

/**
 * Counts connections by server until they are over **there**, so that a pool does not replace one that was given up while
 * its session still takes a place on the server.
 */
export class ServerConnections {
  private readonly servers = new Map<string, Server>();

  /** @param most how many may be open to one server at a time. */
  constructor(private readonly most: number) {}

  /**
   * Waits for a place on the server.
   * @returns what gives the place back.
   * @throws Error when there is none within the limit, in milliseconds.
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

/** The client's side of a connection that is not used any more. */
export interface EndingConnection {
  /** Resolves when the server has closed it. */
  readonly closed: Promise<unknown>;
  /** Resolves when the server is ready for a statement. */
  readonly ready: Promise<unknown>;
  /** Asks the server to end the session, after what it is at. */
  end(): void;
  destroy(): void;
  /** Asks the server to cancel what the session is at; undefined where it is at nothing. */
  readonly cancel?: () => Promise<void>;
  /** Ends the session from another one. @returns whether it is over; undefined where it has not begun. */
  readonly terminate?: () => Promise<boolean>;
}

/**
 * Resolves when the session is over at the server. A client that only hangs up leaves a session that waits, e.g. for a
 * standby to confirm a commit, and that then takes a place on the server for as long as it waits.
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
    // The network may have lost the connection, whose session then is over only when it is ended from elsewhere.
    while (!(await within(ENDED_LIMIT_MILLISECONDS, connection.closed))) {
      if (await connection.terminate().catch(() => false)) break;
    }
  }
  connection.destroy();
}

/** @returns whether it has happened in time. */
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
