import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { ACCOUNT } from './callbacks.js';

/** A Twilio that accepts every SMS after a while. */
export class StormyTwilio {
  /** When each recipient's first request came, in milliseconds since 1970. */
  readonly arrivals = new Map<string, number>();
  requests = 0;
  /** Requests that wait for their answer. */
  open = 0;
  answerMilliseconds = 100;
  #messages = 0;

  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response);
    });
  }

  static async start(): Promise<StormyTwilio> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new StormyTwilio(server);
  }

  get baseUrl(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  forget(): void {
    this.arrivals.clear();
    this.requests = 0;
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parameters = new URLSearchParams(await text(request));
    const to = parameters.get('To');
    if (request.method !== 'POST' || to === null) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ status: 404, code: 20404, message: 'Not found' }));
      return;
    }
    this.requests += 1;
    if (!this.arrivals.has(to)) this.arrivals.set(to, now());
    this.open += 1;
    await delay(this.answerMilliseconds);
    this.open -= 1;
    this.#messages += 1;
    response.writeHead(201, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        sid: `SM5e${String(this.#messages).padStart(30, '0')}`,
        account_sid: ACCOUNT.sid,
        status: 'queued',
        to,
        from: parameters.get('From'),
        body: parameters.get('Body'),
        date_created: new Date().toUTCString(),
      }),
    );
  }
}

/** Milliseconds since 1970. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
