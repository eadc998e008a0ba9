import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { DatabaseConnection } from '../../src/database/database-connection.js';

/** A line to a database that can be cut, held and mended: what an outage looks like to the service. */
export class DatabaseLine implements DatabaseConnection {
  readonly embedded: boolean;
  private readonly sockets = new Set<Socket>();
  private state: 'open' | 'held' | 'cut' = 'open';

  private constructor(
    private readonly database: DatabaseConnection,
    private readonly server: Server,
  ) {
    this.embedded = database.embedded;
    server.on('connection', (near) => {
      this.join(near);
    });
  }

  static async open(database: DatabaseConnection): Promise<DatabaseLine> {
    const server = createServer();
    const line = new DatabaseLine(database, server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return line;
  }

  get client(): DatabaseConnection['client'] {
    const { port } = this.server.address() as AddressInfo;
    const { connectionString, ...address } = this.database.client;
    if (connectionString === undefined) return { ...address, host: '127.0.0.1', port };
    const url = new URL(connectionString);
    url.host = `127.0.0.1:${port}`;
    return { connectionString: url.toString() };
  }

  /** Ends every connection, and each new one at once. */
  cut(): void {
    this.state = 'cut';
    for (const socket of this.sockets) socket.destroy();
  }

  /** The database goes on, but nothing that it answers arrives. */
  hold(): void {
    this.state = 'held';
  }

  mend(): void {
    for (const socket of this.sockets) if (this.state === 'held') socket.destroy();
    this.state = 'open';
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((closed) => this.server.close(closed));
    await this.database.close();
  }

  private join(near: Socket): void {
    const { connectionString, host = '', port = 5432 } = this.database.client;
    const url = connectionString === undefined ? null : new URL(connectionString);
    const far =
      url === null
        ? connect(`${host}/.s.PGSQL.${port}`)
        : connect({ host: url.hostname, port: Number(url.port) });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    near.on('data', (data) => far.write(data));
    far.on('data', (data) => {
      if (this.state === 'open') near.write(data);
    });
    if (this.state === 'cut') near.destroy();
  }
}
