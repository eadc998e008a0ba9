import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ACCOUNT } from './callbacks.js';

/** The approximate latency of Twilio's API from a server in the same country. */
const ANSWER_MILLISECONDS = 100;

/** A Twilio that reports every message as sent and never as delivered, like for a phone that is switched off. */
export class AnsweringTwilio {
  #questions = 0;

  private constructor(private readonly server: Server) {
    server.on('request', ({ url = '' }: IncomingMessage, response: ServerResponse) => {
      this.#questions += 1;
      const [sid = ''] = /[A-Z]{2}[0-9a-f]{32}(?=\.json)/.exec(url) ?? [];
      void answer(sid, response);
    });
  }

  static async start(): Promise<AnsweringTwilio> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new AnsweringTwilio(server);
  }

  /** How often it was asked so far. */
  get questions(): number {
    return this.#questions;
  }

  get baseUrl(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }
}

async function answer(sid: string, response: ServerResponse): Promise<void> {
  await delay(ANSWER_MILLISECONDS);
  const message = {
    sid,
    account_sid: ACCOUNT.sid,
    status: 'sent',
    to: 'whatsapp:+15550000000',
    from: 'whatsapp:+14155238886',
    error_code: null,
    error_message: null,
    date_created: new Date().toUTCString(),
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(message));
}
