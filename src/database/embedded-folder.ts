import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { StartupError } from '../process/startup-error.js';

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
