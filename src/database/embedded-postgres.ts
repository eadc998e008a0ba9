import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { StartupError } from '../startup-error.js';
import type { DatabaseConnection } from './database-connection.js';
import { withWholePipelines } from './whole-pipelines.js';

const SOCKET_NAME = '.s.PGSQL.5432';

export interface EmbeddedPostgresOptions {
  /** Folder of the data; in memory where it is left out. */
  dataDir?: string;
  /** A dump of `EmbeddedPostgres.dump()` to start from. */
  loadFrom?: Blob;
}

/**
 * PostgreSQL inside this process (PGlite), reached by node-postgres over a socket that only this user can open.
 * PGlite is a single session: connections take turns by transaction, and session settings are shared.
 */
export class EmbeddedPostgres implements DatabaseConnection {
  readonly embedded = true;
  readonly client: DatabaseConnection['client'];

  private constructor(
    private readonly database: PGlite,
    private readonly server: PGLiteSocketServer,
    private readonly socketFolder: string,
  ) {
    this.client = { host: socketFolder, port: 5432, user: 'postgres', database: 'postgres' };
  }

  /** @throws StartupError when another process has the data folder open. */
  static async start({ dataDir, loadFrom }: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
    const socketFolder = dataDir === undefined ? await temporaryFolder() : await folderFor(dataDir);
    if (dataDir !== undefined) await mkdir(dataDir, { recursive: true });
    const database = await PGlite.create({ dataDir, loadDataDir: loadFrom });
    const path = join(socketFolder, SOCKET_NAME);
    const server = new PGLiteSocketServer({ db: withWholePipelines(database), path, maxConnections: 100 });
    await server.start();
    return new EmbeddedPostgres(database, server, socketFolder);
  }

  dump(): Promise<Blob> {
    return this.database.dumpDataDir('none');
  }

  async close(): Promise<void> {
    await this.server.stop();
    await this.database.close();
    await rm(this.socketFolder, { recursive: true, force: true });
  }
}

function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-'));
}

/**
 * The socket's folder follows from the data's, so that a second process finds the first one there.
 * It is not inside the data's folder because a socket's path may have 107 bytes at most.
 */
async function folderFor(dataDir: string): Promise<string> {
  const digest = createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16);
  const folder = join(tmpdir(), `whatsapp-sms-fallback-${digest}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await stat(folder)).uid !== process.getuid?.()) {
    throw new StartupError(
      `The folder ${folder} belongs to another user. Remove it or set EMBEDDED_DATA_DIR.`,
    );
  }
  const socket = join(folder, SOCKET_NAME);
  if (await isListening(socket)) {
    throw new StartupError(
      `The embedded database in ${dataDir} is in use by another process.\n` +
        'Stop that process, name another folder in EMBEDDED_DATA_DIR, or set DATABASE_URL to a PostgreSQL server, which serves many.',
    );
  }
  await rm(socket, { force: true });
  return folder;
}

function isListening(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => {
      done(false);
    });
  });
}
