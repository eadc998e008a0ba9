import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { access, constants, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../process/startup-error.js';
import type { DatabaseConnection } from './database-connection.js';
import { claimSocketFolder, type SocketFolder, temporarySocketFolder } from './embedded-folder.js';
import { withWholePipelines } from './whole-pipelines.js';

const SOCKET_NAME = '.s.PGSQL.5432';

export interface EmbeddedPostgresOptions {
  /** Data folder; if missing, it is created for this user only. Default: the data stays in memory. */
  dataDir?: string;
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
    private readonly socketFolder: SocketFolder,
  ) {
    this.client = { host: socketFolder.path, port: 5432, user: 'postgres', database: 'postgres' };
  }

  /** @throws StartupError when another process has the data folder open, or this user cannot use it. */
  static async start({ dataDir }: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
    const folder = dataDir === undefined ? await temporarySocketFolder() : await claimSocketFolder(dataDir);
    try {
      if (dataDir !== undefined) await makeDataFolder(dataDir);
      const database = await PGlite.create({ dataDir });
      const path = join(folder.path, SOCKET_NAME);
      await rm(path, { force: true });
      const server = new PGLiteSocketServer({ db: withWholePipelines(database), path, maxConnections: 100 });
      await server.start();
      return new EmbeddedPostgres(database, server, folder);
    } catch (error) {
      await folder.release();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.server.stop();
    await this.database.close();
    await this.socketFolder.release();
  }
}

async function makeDataFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(
      `The embedded database cannot have the folder ${path}: ${reason}.\n` +
        'Let this user write there, name another folder in EMBEDDED_DATA_DIR, or set DATABASE_URL to a PostgreSQL server.',
      { cause: error },
    );
  }
}
