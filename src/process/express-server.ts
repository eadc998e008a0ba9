import { type INestApplication, Logger } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Express } from 'express';
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { StartupError } from './startup-error.js';

/**
 * How long a connection may be idle, in milliseconds. Proxies close idle connections sooner: nginx after 60 s, and
 * Google's load balancers after 600 s, which cannot be changed. With Node's 5 s, a callback could arrive on a
 * connection that is being closed here, and get no answer.
 */
const KEEP_ALIVE_MILLISECONDS = 620_000;

/**
 * How long a whole request may take, in milliseconds. Twilio waits 15 s for an answer; with Node's five minutes, slow
 * clients would pile up.
 */
const REQUEST_MILLISECONDS = 30_000;

/** The headers that are read of a request; Node drops the others. Twilio and some proxies send about 20. */
const MOST_HEADERS = 200;

/**
 * The chunks that are read of a body; the rest is dropped. Node passes on each chunk separately, however small, and
 * needs 100 ms for the one-byte chunks of a single read. The service accepts at most 512 anyway
 * (webhooks/callback-body.ts).
 */
const MOST_PIECES = 1_000;

/** How often to close the connections that keep a closing server open, in milliseconds. */
const CLOSING_MILLISECONDS = 100;

/**
 * How long a client may take to send the first request on an open connection after the server begins to close, in
 * milliseconds.
 */
const FIRST_REQUEST_MILLISECONDS = 1_000;

/**
 * Nest's adapter for Express, which creates requests and responses with Express's prototypes. Otherwise Express changes
 * the prototypes of each pair that Node creates, and V8 slows down all code that touches such an object: together about
 * half of a callback's CPU time. With the right prototype, Express's setPrototypeOf is a no-op:
 * https://github.com/expressjs/express/issues/5998
 */
export class PreparedExpressAdapter extends ExpressAdapter {
  private readonly connections = new Set<Socket>();

  /** Ignores Nest's options for the server, because this service sets none. */
  override initHttpServer(): void {
    const express = this.getInstance<Express>();
    class Request extends IncomingMessage {
      private pieces = 0;

      override push(piece: unknown): boolean {
        if (piece === null) return super.push(piece);
        this.pieces += 1;
        if (this.pieces < MOST_PIECES) return super.push(piece);
        if (this.pieces === MOST_PIECES) super.push(null);
        return true;
      }
    }
    class Response extends ServerResponse<Request> {}
    Object.setPrototypeOf(Request.prototype, express.request);
    Object.setPrototypeOf(Response.prototype, express.response);
    Object.assign(express, { request: Request.prototype, response: Response.prototype });
    const options = {
      IncomingMessage: Request,
      ServerResponse: Response,
      keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
      requestTimeout: REQUEST_MILLISECONDS,
      headersTimeout: REQUEST_MILLISECONDS,
      connectionsCheckingInterval: 5_000,
    };
    const server = createServer(options, express);
    server.maxHeadersCount = MOST_HEADERS;
    server.on('connection', (connection) => {
      this.connections.add(connection);
      connection.once('close', () => this.connections.delete(connection));
    });
    const closeIdle = server.closeIdleConnections.bind(server);
    server.closeIdleConnections = () => {
      this.exceptUnused(closeIdle);
    };
    this.setHttpServer(server);
  }

  /**
   * Resolves when all connections are closed. Node closes only connections that are idle when the server begins to
   * close. One that becomes idle later would keep the server open until its idle limit, and one that a client, e.g. a
   * browser, opened in advance would keep it open for a minute or more.
   *
   * No library does this: http-terminator 3.2.0, lil-http-terminator 1.2.3, stoppable 1.1.0, @godaddy/terminus (which
   * uses it), and http-graceful-shutdown 4.0.0 close each connection without a request at once, even if a request has
   * begun to arrive. Such a callback would get no answer. See https://github.com/gajus/http-terminator/issues/40
   */
  override async close(): Promise<void> {
    const server: Server = this.getHttpServer();
    const begin = performance.now();
    const closing = setInterval(() => {
      this.closeIdleConnections(server);
      // Node first reads what has already arrived.
      if (performance.now() - begin > FIRST_REQUEST_MILLISECONDS) setImmediate(this.closeUnusedConnections);
    }, CLOSING_MILLISECONDS);
    await super.close();
    clearInterval(closing);
  }

  /** Waits while an answer is being sent to a slow client: Node considers its connection idle once it is written. */
  private closeIdleConnections(server: Server): void {
    const isSending = [...this.connections].some(({ writableLength }) => writableLength > 0);
    if (!isSending) server.closeIdleConnections();
  }

  /** Node 26 also closes connections without a request so far, which may be about to send one. */
  private exceptUnused(close: () => void): void {
    const unused = [...this.connections].filter(({ bytesRead }) => bytesRead === 0);
    for (const connection of unused) connection.destroy = () => connection;
    close();
    for (const connection of unused) Reflect.deleteProperty(connection, 'destroy');
  }

  private readonly closeUnusedConnections = (): void => {
    for (const connection of this.connections) {
      if (connection.bytesRead === 0) connection.destroy();
    }
  };
}

/**
 * Starts the application, and then listens. The steps are separate, because folders and the database's address fail
 * with the same error codes as HOST and PORT.
 * @throws StartupError if it cannot listen, with a remedy.
 */
export async function listen(app: INestApplication, port: number, host: string): Promise<void> {
  await app.init();
  try {
    await app.listen(port, host);
  } catch (error) {
    const advice = adviceFor(error);
    throw advice === undefined ? error : new StartupError(advice, { cause: error });
  }
}

function adviceFor(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '', port } = error as NodeJS.ErrnoException & { port?: number };
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port ?? '?'} is in use. Stop what listens there, or set PORT.`;
    case 'EADDRNOTAVAIL':
    case 'EACCES':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `Cannot listen on this address: ${error.message}. See HOST and PORT.`;
    default:
      return undefined;
  }
}

/**
 * When a shutdown closes the remaining connections, in milliseconds. Jobs have their own limit, 8 s. An unfinished
 * callback is not acknowledged, so nothing is lost.
 */
const CONNECTIONS_LIMIT_MILLISECONDS = 9_000;

/** When a shutdown ends the process, in milliseconds. `docker stop` kills it after 10 s. */
const PROCESS_LIMIT_MILLISECONDS = 9_500;

/** Limits the time from a signal to the end of the process, whatever a client or the database does. */
export function limitShutdown(server: Server): void {
  const logger = new Logger('Service');
  const begin = (signal: NodeJS.Signals): void => {
    logger.log('Shutting down', { signal });
    // Otherwise Node keeps a connection open as long as its client sends more requests.
    server.prependListener('request', (_request, response: ServerResponse) => {
      response.shouldKeepAlive = false;
    });
    setTimeout(() => {
      server.closeAllConnections();
    }, CONNECTIONS_LIMIT_MILLISECONDS).unref();
    setTimeout(() => {
      logger.error('The shutdown took too long and is cut short');
      process.exit(1);
    }, PROCESS_LIMIT_MILLISECONDS).unref();
  };
  process.once('SIGTERM', begin);
  process.once('SIGINT', begin);
}
