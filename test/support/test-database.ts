import { PGlite } from '@electric-sql/pglite';
import { describe, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { type DatabaseConnection, postgresServer } from '../../src/database/database-connection.js';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres.js';
import { migrateDatabase } from '../../src/database/migrate-database.js';

type Template = 'empty' | 'migrated';

/** Describes tests that the embedded database cannot run: it serves one process, and one transaction at a time. */
export const describeOnServer = process.env.TEST_DATABASE_URL === undefined ? describe.skip : describe;
export const itOnServer = process.env.TEST_DATABASE_URL === undefined ? it.skip : it;

/**
 * Creates a database that is not migrated: on the PostgreSQL server of `TEST_DATABASE_URL`, or embedded if that is
 * not set. `close()` removes it.
 */
export async function createEmptyDatabase(): Promise<DatabaseConnection> {
  return create('empty');
}

/** Creates a migrated database in the same place. */
export async function createTestDatabase(): Promise<DatabaseConnection> {
  return create('migrated');
}

async function create(template: Template): Promise<DatabaseConnection> {
  const serverUrl = process.env.TEST_DATABASE_URL;
  return serverUrl === undefined ? createEmbedded(template) : createOnServer(serverUrl, template);
}

/** The databases that specs of one worker reuse in turn, see kept-databases.mjs. */
declare const keptDatabases: {
  takeIdleFolder(): string | null;
  loadIntoMemory(folder: string, archive: string): void;
  keepDatabaseOf(folder: string): void;
  isKept(folder: string): boolean;
};

async function createEmbedded(template: Template): Promise<DatabaseConnection> {
  const folder =
    (template === 'migrated' ? keptDatabases.takeIdleFolder() : null) ?? (await inMemory(template));
  const database = await EmbeddedPostgres.start({ dataDir: folder });
  return {
    client: database.client,
    embedded: true,
    close: async () => {
      await database.close();
      if (!keptDatabases.isKept(folder)) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns a folder that stands for a database in memory. */
async function inMemory(template: Template): Promise<string> {
  const folder = await mkdtemp(join(process.env.TEST_FOLDER ?? tmpdir(), 'data-'));
  keptDatabases.loadIntoMemory(folder, archiveOf(await embeddedTemplates(), template));
  if (template === 'migrated') keptDatabases.keepDatabaseOf(folder);
  return folder;
}

function archiveOf(templates: string, template: Template): string {
  return join(templates, `${template}.tar`);
}

/** Creates a temporary folder with the data of an embedded database. The caller removes it. */
export async function createDataFolder(template: Template): Promise<string> {
  const templates = await embeddedTemplates();
  const folder = await mkdtemp(join(process.env.TEST_FOLDER ?? tmpdir(), 'data-'));
  await copyFolder(join(templates, template), folder);
  return folder;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const CACHE = join(root, 'node_modules/.cache/whatsapp-sms-fallback');

/** The inputs of the templates. */
const SOURCES = ['migrations', 'src/database', 'src/domain-events', 'test/support'];
const LOCK_FILE = 'package-lock.json';

const OUTDATED_MILLISECONDS = 24 * 60 * 60_000;

/**
 * Creates the folders that each embedded database is copied from, unless an earlier run made them from the same
 * sources. PostgreSQL's initdb and the migrations take several times as long as a copy.
 */
async function embeddedTemplates(): Promise<string> {
  const folder = join(CACHE, await digestOfSources());
  if (await exists(folder)) return folder;
  const own = `${folder}.${process.pid}`;
  try {
    await makeTemplates(own);
    await rename(own, folder).catch(async (error: unknown) => {
      // Another worker was faster.
      if (!(await exists(folder))) throw error;
    });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
  await removeOutdatedTemplates();
  return folder;
}

async function makeTemplates(folder: string): Promise<void> {
  const [empty, migrated] = [join(folder, 'empty'), join(folder, 'migrated')];
  await (await EmbeddedPostgres.start({ dataDir: empty })).close();
  await mkdir(migrated);
  await copyFolder(empty, migrated);
  const database = await EmbeddedPostgres.start({ dataDir: migrated });
  await migrateDatabase(database);
  await database.close();
  await archive(folder, 'empty');
  await archive(folder, 'migrated');
}

async function archive(templates: string, template: Template): Promise<void> {
  const database = await PGlite.create({ dataDir: join(templates, template) });
  const contents = await database.dumpDataDir('none');
  await database.close();
  await writeFile(archiveOf(templates, template), Buffer.from(await contents.arrayBuffer()));
}

/**
 * Copies the contents of a folder. It has a thousand small files, for which Node's own `cp` takes ten times as long.
 */
async function copyFolder(from: string, to: string): Promise<void> {
  await promisify(execFile)('cp', ['-R', `${from}/.`, to]);
}

async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256');
  const folders = await Promise.all(
    SOURCES.map(async (name) => (await readdir(join(root, name))).map((file) => join(name, file))),
  );
  for (const file of [...folders.flat().sort(), LOCK_FILE])
    hash.update(file).update(await readFile(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}

async function removeOutdatedTemplates(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const made = await stat(join(CACHE, name)).catch(() => null);
    if (made !== null && Date.now() - made.mtimeMs > OUTDATED_MILLISECONDS)
      await rm(join(CACHE, name), { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function createOnServer(serverUrl: string, template: Template): Promise<DatabaseConnection> {
  const name = `whatsapp_sms_fallback_test_${randomUUID().replaceAll('-', '')}`;
  await execute(serverUrl, `create database ${name} template ${await templateOnServer(serverUrl, template)}`);
  return {
    ...postgresServer(urlOf(serverUrl, name)),
    close: () => execute(serverUrl, `drop database ${name} with (force)`),
  };
}

/** An arbitrary number that no other advisory lock uses. */
const TEMPLATE_LOCK = 630_490_064;

/**
 * The migrated database that this run copies. The first worker creates it, and test/support/global-teardown.mjs drops
 * it.
 */
async function templateOnServer(serverUrl: string, template: Template): Promise<string> {
  const name = process.env.TEST_TEMPLATE_DATABASE;
  if (name === undefined) throw new Error('TEST_TEMPLATE_DATABASE is not set: global-setup.mjs has not run');
  if (template === 'empty') return 'template0';
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) {
      await client.query(`create database ${name}_new`);
      await migrateDatabase(postgresServer(urlOf(serverUrl, `${name}_new`)));
      await client.query(`alter database ${name}_new rename to ${name}`);
    }
    return name;
  } finally {
    await client.end();
  }
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.toString();
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
