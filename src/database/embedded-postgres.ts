import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, chmod, constants, lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { StartupError } from '../process/startup-error.js';
import type { DatabaseConnection } from './database-connection.js';

const LOCK_NAME = 'in-use';

/** The folder of an embedded database's socket, which only this user can enter. */
export interface SocketFolder {
  readonly path: string;
  /** Removes the folder and releases the data for another process. */
  release(): Promise<void>;
}

/** Creates a socket folder for data in memory, which no other process uses. */
export async function temporarySocketFolder(): Promise<SocketFolder> {
  const path = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-'));
  return { path, release: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Claims the socket folder for data in a folder. Its path follows from the data's, so that a second process finds the
 * first one there. It is not inside the data's folder because a socket's path is limited to 107 bytes.
 * @throws StartupError when another process has the data open.
 */
export async function claimSocketFolder(dataDir: string): Promise<SocketFolder> {
  const digest = createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16);
  const path = join(tmpdir(), `whatsapp-sms-fallback-${digest}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  // Not `stat`: in a world-writable folder, another user may have placed a link here.
  const folder = await lstat(path);
  if (!folder.isDirectory() || folder.uid !== process.getuid?.()) {
    throw new StartupError(`The folder ${path} belongs to another user. Remove it or set EMBEDDED_DATA_DIR.`);
  }
  await chmod(path, 0o700);
  const unlock = await lock(join(path, LOCK_NAME));
  if (unlock === null) {
    throw new StartupError(
      `The embedded database in ${dataDir} is in use by another process.\n` +
        'Stop that process, name another folder in EMBEDDED_DATA_DIR, or set DATABASE_URL to a PostgreSQL server, which serves many.',
    );
  }
  return {
    path,
    release: async () => {
      await unlock();
      await rm(path, { recursive: true, force: true });
    },
  };
}

/**
 * Locks by a socket, since Node has no file locks: a socket has at most one listener, and none after its process ends.
 */
async function lock(path: string): Promise<(() => Promise<void>) | null> {
  const listening = await listen(path);
  if (listening !== null) return listening;
  if (await isListening(path)) return null;
  // Left over by a process that was killed.
  await rm(path, { force: true });
  return listen(path);
}

/** @returns null if the path is taken. */
function listen(path: string): Promise<(() => Promise<void>) | null> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => socket.destroy()).unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') done(null);
      else fail(error);
    });
    server.listen(path, () => {
      done(
        () =>
          new Promise((closed) => {
            server.close(() => {
              closed();
            });
          }),
      );
    });
  });
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

/** Messages of the extended query protocol that leave the pipeline open until Sync. Source: PostgreSQL, chapter 54. */
const OPENS_PIPELINE: ReadonlySet<number> = new Set(Buffer.from('PBDECH'));

/**
 * Wraps PGlite for its socket server. The server lets connections take turns by protocol message, except in a
 * transaction, so that one connection's Bind could meet another one's Parse: both use the session's unnamed statement.
 * Here a pipeline counts as a transaction from its first message to its Sync.
 * https://github.com/electric-sql/pglite/issues/1046
 */
export function withWholePipelines(database: PGlite): PGlite {
  let pipelineIsOpen = false;
  const overrides: Partial<PGlite> = {
    isInTransaction: () => pipelineIsOpen || database.isInTransaction(),
    execProtocolRawStream: async (message, options) => {
      await database.execProtocolRawStream(message, options);
      pipelineIsOpen = OPENS_PIPELINE.has(message[0] ?? 0);
    },
    // The server calls this to end what a broken connection left open.
    exec: async (query, options) => {
      pipelineIsOpen = false;
      return database.exec(query, options);
    },
  };
  return new Proxy(database, {
    get: (target, name) => {
      const value: unknown = Reflect.get(name in overrides ? overrides : target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const SOCKET_NAME = '.s.PGSQL.5432';

export interface EmbeddedPostgresOptions extends Pick<DatabaseConnection, 'applicationTables'> {
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
    readonly applicationTables: DatabaseConnection['applicationTables'],
  ) {
    this.client = { host: socketFolder.path, port: 5432, user: 'postgres', database: 'postgres' };
  }

  /** @throws StartupError when another process has the data folder open, or this user cannot use it. */
  static async start({
    dataDir,
    applicationTables,
  }: EmbeddedPostgresOptions = {}): Promise<EmbeddedPostgres> {
    const folder = dataDir === undefined ? await temporarySocketFolder() : await claimSocketFolder(dataDir);
    try {
      if (dataDir !== undefined) await makeDataFolder(dataDir);
      const database = await PGlite.create({ dataDir });
      const path = join(folder.path, SOCKET_NAME);
      await rm(path, { force: true });
      const server = new PGLiteSocketServer({ db: withWholePipelines(database), path, maxConnections: 100 });
      await server.start();
      return new EmbeddedPostgres(database, server, folder, applicationTables);
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

/**
 * Dumps a data folder as a tar archive with gzip, which `restoreDataFolder` takes.
 * @throws StartupError when another process has the folder open, or there is no database in it.
 */
export async function dumpDataFolder(dataDir: string): Promise<Buffer> {
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    throw new StartupError(
      `There is no embedded database in ${dataDir}. Set EMBEDDED_DATA_DIR to its folder.`,
    );
  }
  const folder = await claimSocketFolder(dataDir);
  try {
    const database = await PGlite.create({ dataDir });
    try {
      const archive = await database.dumpDataDir('gzip');
      return Buffer.from(await archive.arrayBuffer());
    } finally {
      await database.close();
    }
  } finally {
    await folder.release();
  }
}

/**
 * Creates a data folder from a dump: completely or not at all.
 * @throws StartupError when the folder has content or is in use, or the archive is not a dump.
 */
export async function restoreDataFolder(dataDir: string, archive: Buffer): Promise<void> {
  const folder = await claimSocketFolder(dataDir);
  const target = resolve(dataDir);
  const unfinished = `${target}.restoring`;
  try {
    await makeDataFolder(dataDir);
    if ((await readdir(target)).length > 0) {
      throw new StartupError(
        `The folder ${dataDir} is not empty, and nothing is overwritten. Move it away, or name another folder in EMBEDDED_DATA_DIR.`,
      );
    }
    await rm(unfinished, { recursive: true, force: true });
    await makeDataFolder(unfinished);
    await load(unfinished, archive);
    await rename(unfinished, target);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    await folder.release();
  }
}

async function load(dataDir: string, archive: Buffer): Promise<void> {
  try {
    // PGlite's own decompression ends the process if the archive is damaged.
    const tar = await promisify(gunzip)(archive);
    const loadDataDir = new Blob([new Uint8Array(tar)], { type: 'application/x-tar' });
    const database = await PGlite.create({ dataDir, loadDataDir });
    await database.close();
  } catch (error) {
    throw new StartupError('The file is not a backup of an embedded database.', { cause: error });
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
