import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';

/** An HTTP server on this computer that closes immediately. */
export class LocalServer {
  private constructor(
    /** E.g. `http://127.0.0.1:40123`. */
    readonly baseUrl: string,
    private readonly server: Server,
  ) {}

  /** @param port 0 for a free one */
  static async start(onRequest: RequestListener, host: string, port: number): Promise<LocalServer> {
    const server = createServer(onRequest).listen(port, host);
    await once(server, 'listening');
    const address = server.address();
    const actualPort = typeof address === 'object' && address !== null ? address.port : port;
    return new LocalServer(`http://${host}:${String(actualPort)}`, server);
  }

  /** Ends every connection, answered or not. Calling it again does nothing. */
  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}
