import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { DatabaseConnection } from '../../src/database/database-connection.js';

/** A TCP proxy to a database that can cut, hold, and restore connections. To the service it looks like an outage. */
export class DatabaseLine implements DatabaseConnection {
  readonly embedded: boolean;
  private readonly near = new Set<Socket>();
  private readonly far = new Set<Socket>();
  private state: 'open' | 'held' | 'cut' = 'open';

  private constructor(
    private readonly database: DatabaseConnection,
    private readonly server: Server,
  ) {
    this.embedded = database.embedded;
    server.on('connection', (socket) => {
      this.join(socket);
    });
  }

  static async open(database: DatabaseConnection): Promise<DatabaseLine> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new DatabaseLine(database, server);
  }

  get client(): DatabaseConnection['client'] {
    return { connectionString: this.url };
  }

  get url(): string {
    const { connectionString = 'postgresql://postgres@localhost/postgres' } = this.database.client;
    const url = new URL(connectionString);
    url.host = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return url.toString();
  }

  /** Ends every connection, and each new one at once. */
  cut(): void {
    this.state = 'cut';
    this.end();
  }

  /** Holds the database's answers back while the database continues. */
  hold(): void {
    this.state = 'held';
    for (const socket of this.far) socket.pause();
  }

  /** Delivers the held answers on the same connections. */
  resume(): void {
    this.state = 'open';
    for (const socket of this.far) socket.resume();
  }

  /** Lets new connections work, and ends the held ones. */
  mend(): void {
    if (this.state === 'held') this.end();
    this.state = 'open';
  }

  /** Closes the database too. */
  async close(): Promise<void> {
    this.cut();
    await new Promise((closed) => this.server.close(closed));
    await this.database.close();
  }

  private end(): void {
    for (const socket of [...this.near, ...this.far]) socket.destroy();
  }

  private join(near: Socket): void {
    const { connectionString, host = '', port = 5432 } = this.database.client;
    const url = connectionString === undefined ? null : new URL(connectionString);
    const far =
      url === null
        ? connect(`${host}/.s.PGSQL.${port}`)
        : connect(Number(url.port === '' ? 5432 : url.port), url.hostname);
    this.tie(near, this.near, far);
    this.tie(far, this.far, near);
    near.on('data', (data) => far.write(data));
    far.on('data', (data) => near.write(data));
    if (this.state === 'cut') near.destroy();
    if (this.state === 'held') far.pause();
  }

  private tie(socket: Socket, among: Set<Socket>, other: Socket): void {
    among.add(socket);
    socket.on('error', () => other.destroy());
    socket.once('close', () => {
      among.delete(socket);
      other.destroy();
    });
  }
}
