import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { StartupError } from '../process/startup-error.js';
import type { Surroundings } from './command.js';

export function addBackup(program: Command, { terminal, end }: Surroundings): void {
  program
    .command('backup')
    .summary('copy the embedded database into a file')
    .description(
      'Copies the embedded database in EMBEDDED_DATA_DIR into a file, which restore takes. Stop the service first: it has ' +
        'the database to itself. The file has numbers and texts, and only this user can read it.',
    )
    .argument('<file>', 'it must not exist yet')
    .action(async (file: string) => {
      const { dataDir, dumpDataFolder } = await embeddedDatabase();
      if (existsSync(file)) throw new StartupError(`The file ${file} exists, and nothing is overwritten.`);
      await writeWhole(file, await dumpDataFolder(dataDir));
      terminal.print(`Copied the embedded database in ${dataDir} to ${file}.`);
      end(0);
    });
  program
    .command('restore')
    .summary('create the embedded database from a backup')
    .description(
      'Creates the embedded database in EMBEDDED_DATA_DIR from a file that backup has written. The folder must be empty or ' +
        'missing.',
    )
    .argument('<file>', 'a file that backup has written')
    .action(async (file: string) => {
      const { dataDir, restoreDataFolder } = await embeddedDatabase();
      await restoreDataFolder(dataDir, await readWhole(file));
      terminal.print(`Restored ${file} to the embedded database in ${dataDir}. Now start the service.`);
      end(0);
    });
}

/** @throws StartupError if the database is on a server. */
async function embeddedDatabase() {
  const [{ envVariables }, { loadEnvFile, parseEnv }, database] = await Promise.all([
    import('../config/env.js'),
    import('../config/parse-env.js'),
    import('../database/embedded-postgres.js'),
  ]);
  const { DATABASE_URL: url, EMBEDDED_DATA_DIR: dataDir } = parseEnv(
    loadEnvFile(),
    envVariables.pick({ DATABASE_URL: true, EMBEDDED_DATA_DIR: true }),
  );
  if (url === undefined) return { ...database, dataDir };
  throw new StartupError(
    'DATABASE_URL is set, and this command is for the embedded database: use pg_dump and pg_restore.',
  );
}

async function readWhole(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(`The file ${file} cannot be read: ${reason}.`, { cause: error });
  }
}

/** Writes a file that is complete as soon as it has its name. */
async function writeWhole(file: string, content: Buffer): Promise<void> {
  const unfinished = `${file}.unfinished`;
  try {
    await writeFile(unfinished, content, { mode: 0o600, flush: true });
    await rename(unfinished, file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError(`The file ${file} cannot be written: ${reason}.`, { cause: error });
  } finally {
    await rm(unfinished, { force: true });
  }
}
