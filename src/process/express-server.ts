import type { Express } from 'express';
import { ExpressAdapter } from '@nestjs/platform-express';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';

/**
 * Nest's adapter for Express with requests and answers that are made with Express's prototypes. Express changes the
 * prototypes of each pair that Node has made, and V8 runs whatever touches an object with a changed prototype more slowly:
 * Node's own code, Express's and ours, in all about half of the processor time of a callback. Here Express finds its
 * prototypes in place, and the change is none.
 */
export class PreparedExpressAdapter extends ExpressAdapter {
  /** Takes none of Nest's options for the server: this service uses none. */
  override initHttpServer(): void {
    const express = this.getInstance<Express>();
    class Request extends IncomingMessage {}
    class Response extends ServerResponse<Request> {}
    Object.setPrototypeOf(Request.prototype, express.request);
    Object.setPrototypeOf(Response.prototype, express.response);
    Object.assign(express, { request: Request.prototype, response: Response.prototype });
    this.setHttpServer(createServer({ IncomingMessage: Request, ServerResponse: Response }, express));
  }
}
