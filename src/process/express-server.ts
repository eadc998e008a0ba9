import { type INestApplication, Logger } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Express } from 'express';
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { StartupError } from './startup-error.js';

/**
 * How long a connection may be idle. Longer than a proxy keeps its own, so that the proxy closes it: with Node's 5 s a
 * callback may be sent on a connection that is being closed here, and would have no answer. nginx keeps them for 60 s, and
 * Google's load balancers for 600 s, which cannot be changed.
 */
const KEEP_ALIVE_MILLISECONDS = 620_000;

/** For a whole request, in milliseconds. Twilio waits 15 s for its answer; with Node's five minutes slow clients pile up. */
const REQUEST_MILLISECONDS = 30_000;

/** Of a request; Node drops the others. Twilio and some proxies send about 20. */
const MOST_HEADERS = 200;

/**
 * Of a request's body, which ends with them: Node hands over each chunk of a chunked body by itself, however small, and takes
 * 100 ms for those of one byte that it reads at once. No body of ours has 512 pieces (webhooks/callback-body.ts).
 */
const MOST_PIECES = 1_000;

/** Between two looks for connections that hold the server open while it closes. */
const CLOSING_MILLISECONDS = 100;

/** What a client has, to send its first request on a connection that it has opened, once the server closes. */
const FIRST_REQUEST_MILLISECONDS = 1_000;

/**
 * Nest's adapter for Express with requests and answers that are made with Express's prototypes. Express changes the
 * prototypes of each pair that Node has made, and V8 runs whatever touches an object with a changed prototype more slowly:
 * Node's own code, Express's and ours, in all about half of the processor time of a callback. Here Express finds its
 * prototypes in place, and the change is none: https://github.com/expressjs/express/issues/5998
 */
export class PreparedExpressAdapter extends ExpressAdapter {
  private readonly connections = new Set<Socket>();

  /** Takes none of Nest's options for the server: this service uses none. */
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
    this.setHttpServer(server);
  }

  /**
   * Resolves when all connections are closed. Node closes what is idle when the server begins to close. A connection
   * that becomes idle later would hold it open for as long as one may be idle, and one that a client, e.g. a browser, has
   * opened in advance for a minute or more.
   *
   * No library does this: http-terminator 3.2.0, lil-http-terminator 1.2.3, stoppable 1.1.0, @godaddy/terminus (which uses
   * it) and http-graceful-shutdown 4.0.0 close each connection without a request at once, even one on which a request has
   * begun to arrive. Such a callback would have no answer. See https://github.com/gajus/http-terminator/issues/40
   */
  override async close(): Promise<void> {
    const server: Server = this.getHttpServer();
    const begin = performance.now();
    const closing = setInterval(() => {
      this.closeIdleConnections(server);
      // After what has arrived was read.
      if (performance.now() - begin > FIRST_REQUEST_MILLISECONDS) setImmediate(this.closeUnusedConnections);
    }, CLOSING_MILLISECONDS);
    await super.close();
    clearInterval(closing);
  }

  /** Not while an answer is on its way to a slow client: for Node a connection is idle once the answer is written. */
  private closeIdleConnections(server: Server): void {
    const isSending = [...this.connections].some(({ writableLength }) => writableLength > 0);
    if (!isSending) server.closeIdleConnections();
  }

  private readonly closeUnusedConnections = (): void => {
    for (const connection of this.connections) {
      if (connection.bytesRead === 0) connection.destroy();
    }
  };
}

/**
 * Starts the application, and listens then. Apart, because the codes of an address that is no good are those of folders and
 * of the database's address, too.
 * @throws StartupError when it cannot listen there, and what to do about it.
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
      return `The service cannot listen there: ${error.message}. See HOST and PORT.`;
    default:
      return undefined;
  }
}

/** Jobs have a limit of their own, 8 s. What is still under way then is not acknowledged, so nothing is lost. */
const CONNECTIONS_LIMIT_MILLISECONDS = 9_000;

/** `docker stop` kills after 10 s. */
const PROCESS_LIMIT_MILLISECONDS = 9_500;

/** Bounds the time from a signal to the end of the process, whatever a client or the database does. */
export function limitShutdown(server: Server): void {
  const logger = new Logger('Service');
  const begin = (signal: NodeJS.Signals): void => {
    logger.log('Shutting down', { signal });
    // Node lets a connection live for as long as its client has another request for it.
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
