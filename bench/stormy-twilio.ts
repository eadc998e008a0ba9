import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { ACCOUNT } from './callbacks.js';

interface Sms {
  readonly to: string;
}

/** A Twilio that accepts every SMS after a while. */
export class StormyTwilio {
  /** When each recipient's first request came, in milliseconds since 1970. */
  readonly arrivals = new Map<string, number>();
  requests = 0;
  /** Requests that wait for their answer. */
  open = 0;
  answerMilliseconds = 100;
  /** How often it was asked for its SMS: before the SMS of a failure that is a minute old, this service looks for it. */
  lists = 0;
  #messages = 0;
  #sent: Sms[] = [];

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
    this.lists = 0;
    this.#sent = [];
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '', this.baseUrl);
    const parameters = new URLSearchParams(await text(request));
    const isPost = request.method === 'POST';
    if (!pathname.endsWith('/Messages.json')) {
      answer(response, 404, { status: 404, code: 20404, message: 'Not found' });
    } else if (isPost) {
      answer(response, 201, await this.#accept(parameters));
    } else {
      this.lists += 1;
      await delay(this.answerMilliseconds);
      answer(response, 200, { messages: this.#list(searchParams) });
    }
  }

  async #accept(parameters: URLSearchParams): Promise<Sms> {
    const to = parameters.get('To') ?? '';
    this.requests += 1;
    if (!this.arrivals.has(to)) this.arrivals.set(to, now());
    this.open += 1;
    await delay(this.answerMilliseconds);
    this.open -= 1;
    this.#messages += 1;
    const sms = {
      sid: `SM5e${String(this.#messages).padStart(30, '0')}`,
      account_sid: ACCOUNT.sid,
      messaging_service_sid: null,
      num_media: '0',
      status: 'queued',
      to,
      from: parameters.get('From'),
      body: parameters.get('Body'),
      date_created: new Date().toUTCString(),
    };
    this.#sent.push(sms);
    return sms;
  }

  /** The newest SMS first, of one recipient or of all. */
  #list(filter: URLSearchParams): Sms[] {
    const to = filter.get('To');
    const all = to === null ? this.#sent : this.#sent.filter((sms) => sms.to === to);
    return all.slice(-Number(filter.get('PageSize') ?? 50)).reverse();
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Milliseconds since 1970. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
