import type { Express } from 'express';
import { ExpressAdapter } from '@nestjs/platform-express';
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * How long a connection may be idle. Longer than a proxy keeps its own (nginx, AWS: 60 s), so that the proxy closes it:
 * with Node's 5 s a callback may be sent on a connection that is being closed here, and would have no answer.
 */
const KEEP_ALIVE_MILLISECONDS = 75_000;

/** Between two looks for connections that hold the server open while it closes. */
const CLOSING_MILLISECONDS = 100;

/** What a client has, to send its first request on a connection that it has opened, once the server closes. */
const FIRST_REQUEST_MILLISECONDS = 1_000;

/**
 * Nest's adapter for Express with requests and answers that are made with Express's prototypes. Express changes the
 * prototypes of each pair that Node has made, and V8 runs whatever touches an object with a changed prototype more slowly:
 * Node's own code, Express's and ours, in all about half of the processor time of a callback. Here Express finds its
 * prototypes in place, and the change is none.
 */
export class PreparedExpressAdapter extends ExpressAdapter {
  private readonly connections = new Set<Socket>();

  /** Takes none of Nest's options for the server: this service uses none. */
  override initHttpServer(): void {
    const express = this.getInstance<Express>();
    class Request extends IncomingMessage {}
    class Response extends ServerResponse<Request> {}
    Object.setPrototypeOf(Request.prototype, express.request);
    Object.setPrototypeOf(Response.prototype, express.response);
    Object.assign(express, { request: Request.prototype, response: Response.prototype });
    const options = {
      IncomingMessage: Request,
      ServerResponse: Response,
      keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
    };
    const server = createServer(options, express);
    server.on('connection', (connection) => {
      this.connections.add(connection);
      connection.once('close', () => this.connections.delete(connection));
    });
    this.setHttpServer(server);
  }

  /**
   * Resolves when the last request has its answer. Node closes what is idle when the server begins to close. A connection
   * that becomes idle later would hold it open for as long as one may be idle, and one that a client, e.g. a browser, has
   * opened in advance for a minute or more.
   */
  override async close(): Promise<void> {
    const server: Server = this.getHttpServer();
    const begin = performance.now();
    const closing = setInterval(() => {
      server.closeIdleConnections();
      if (performance.now() - begin > FIRST_REQUEST_MILLISECONDS) this.closeUnusedConnections();
    }, CLOSING_MILLISECONDS);
    await super.close();
    clearInterval(closing);
  }

  private closeUnusedConnections(): void {
    for (const connection of this.connections) {
      if (connection.bytesRead === 0) connection.destroy();
    }
  }
}
