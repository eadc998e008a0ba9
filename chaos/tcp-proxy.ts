import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * An address of a database, like a DNS name or a virtual address: it decides the target of new connections. Open
 * connections keep their target.
 */
export class TcpProxy {
  /** The target of each connection. */
  readonly #open = new Map<Socket, number>();
  readonly #silent = new Set<number>();

  private constructor(
    private readonly server: Server,
    private target: number,
  ) {
    server.on('connection', (client) => {
      this.#join(client);
    });
  }

  /** @param target a port of 127.0.0.1. */
  static async start(target: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, target);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  leadTo(target: number): void {
    this.target = target;
  }

  /** Ends every open connection. */
  cut(): void {
    for (const client of this.#open.keys()) client.destroy();
  }

  /**
   * From now on, the target behaves like a host without power: existing and new connections to it are neither answered
   * nor ended.
   */
  silence(target: number): void {
    this.#silent.add(target);
  }

  /** The host is back and resets the connections, which it no longer knows. */
  unsilence(target: number): void {
    this.#silent.delete(target);
    for (const [client, of] of this.#open) {
      if (of === target) client.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.cut();
    await closed;
  }

  #join(client: Socket): void {
    const { target } = this;
    const isSilent = () => this.#silent.has(target);
    const upstream = isSilent() ? undefined : connect({ port: target, host: '127.0.0.1', noDelay: true });
    this.#open.set(client, target);
    client.on('error', () => undefined);
    client.on('close', () => {
      this.#open.delete(client);
      upstream?.destroy();
    });
    if (upstream === undefined) return;
    upstream.on('error', () => undefined);
    upstream.on('close', () => {
      if (!isSilent()) client.destroy();
    });
    upstream.on('data', (chunk) => {
      if (!isSilent() && !client.write(chunk)) upstream.pause();
    });
    client.on('drain', () => upstream.resume());
    client.on('data', (chunk) => {
      if (!isSilent()) upstream.write(chunk);
    });
  }
}
