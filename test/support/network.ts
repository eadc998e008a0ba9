import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { DatabaseConnection } from '../../src/database/database-connection.js';

/** A way over TCP to a database, that a test can cut and mend. `close()` closes the database too. */
export class CuttableConnection implements DatabaseConnection {
  private readonly sockets = new Set<Socket>();
  private frozen = false;

  private constructor(
    private readonly database: DatabaseConnection,
    private readonly server: Server,
    private readonly port: number,
  ) {
    server.on('connection', (socket: Socket) => {
      this.forward(socket);
    });
  }

  static async to(database: DatabaseConnection): Promise<CuttableConnection> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CuttableConnection(database, server, (server.address() as AddressInfo).port);
  }

  get embedded(): boolean {
    return this.database.embedded;
  }

  get client() {
    return { connectionString: this.url };
  }

  get url(): string {
    const { connectionString = 'postgresql://postgres@localhost/postgres' } = this.database.client;
    const url = new URL(connectionString);
    url.host = `127.0.0.1:${this.port}`;
    return url.toString();
  }

  /** Ends all connections and refuses new ones. */
  async cut(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  async mend(): Promise<void> {
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
  }

  /** From now on nothing is answered; no connection ends. */
  freeze(): void {
    this.frozen = true;
    for (const socket of this.sockets) socket.unpipe().pause();
  }

  async close(): Promise<void> {
    if (this.server.listening) await this.cut();
    await this.database.close();
  }

  private forward(socket: Socket): void {
    this.hold(socket);
    if (this.frozen) return;
    const { connectionString, host = '', port = 5432 } = this.database.client;
    const url = connectionString === undefined ? undefined : new URL(connectionString);
    const upstream =
      url === undefined
        ? connect(`${host}/.s.PGSQL.${port}`)
        : connect(Number(url.port === '' ? 5432 : url.port), url.hostname);
    this.hold(upstream);
    socket.pipe(upstream);
    upstream.pipe(socket);
    socket.once('close', () => upstream.destroy());
    upstream.once('close', () => socket.destroy());
  }

  private hold(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
  }
}
