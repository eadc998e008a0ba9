import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PostgresServer, type PostgresSettings } from '../harness/postgres-server.js';
import { BenchDatabase } from './bench-database.js';
import { type Closers, withClosers } from './closers.js';
import { CONSTANT_ANSWER, type Contender, CONTENDERS, THIS_SERVICE } from './contenders.js';
import { LoadGenerator } from './load/load-generator.js';
import { Pgbench } from './pgbench.js';
import { ServerProcess } from './server-process.js';

/** A running contender. */
export interface RunningContender {
  readonly contender: Contender;
  readonly server: ServerProcess;
  /** The database of a contender that stores. */
  readonly database: BenchDatabase | undefined;
}

/** Everything that runs at once: PostgreSQL, every contender, and the load generator. */
export interface BenchWorld {
  readonly postgres: PostgresServer;
  /** E.g. `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly postgresVersion: string;
  readonly contenders: readonly RunningContender[];
  readonly constantAnswer: RunningContender;
  readonly load: LoadGenerator;
  /** How many distinct callbacks there are. */
  readonly callbacks: number;
  readonly pgbench: { readonly program: Pgbench; readonly database: BenchDatabase };
}

export interface WorldOptions {
  /** How many distinct callbacks there are. */
  readonly callbacks: number;
  /** Settings that override PostgreSQL's defaults. */
  readonly postgresSettings?: PostgresSettings;
  readonly say: (text: string) => void;
}

/** Starts everything, and always ends it. */
export async function withBenchWorld<Result>(
  options: WorldOptions,
  use: (world: BenchWorld) => Promise<Result>,
): Promise<Result> {
  return withClosers(async (closers) => use(await start(options, closers)));
}

/** The world of a measurement of this service alone. */
export interface ServiceWorld extends Pick<
  BenchWorld,
  'postgres' | 'postgresVersion' | 'load' | 'callbacks'
> {
  /** The first service. */
  readonly service: RunningService;
  /** One service for each name, each with its own database. */
  readonly services: readonly RunningService[];
  /** Starts one more instance of a service, on the same database and with the same settings. */
  readonly startReplica: (service: RunningService) => Promise<ServerProcess>;
  /** Starts another program that stores, on its own database. */
  readonly startPeer: (contender: Contender, settings: Settings) => Promise<RunningService>;
}

export type RunningService = RunningContender & { readonly database: BenchDatabase };

type Settings = Readonly<Record<string, string>>;

export interface ServiceWorldOptions extends WorldOptions {
  /** The names of the services. */
  readonly names: readonly string[];
  /** Variables that override their usual environment, for all services or by the name of one. */
  readonly settings?: Settings | ((name: string) => Settings);
  /** Runs before the services start. */
  readonly prepare?: (databases: readonly BenchDatabase[]) => Promise<void>;
}

/** Starts one or several instances of this service, and always ends them. */
export async function withServiceWorld<Result>(
  { callbacks, say, names, settings, postgresSettings, prepare }: ServiceWorldOptions,
  use: (world: ServiceWorld) => Promise<Result>,
): Promise<Result> {
  return withClosers(async (closers) => {
    const { folder, postgres } = await startPostgres(closers, say, postgresSettings);
    const databases = await BenchDatabase.createAll(postgres, names);
    closers.push(...databases.map((database) => () => database.close()));
    await prepare?.(databases);
    const own = typeof settings === 'function' ? settings : () => settings;
    const startService = async (contender: Contender, database: BenchDatabase) => ({
      ...(await startOne(contender, folder, database, closers, own(contender.name))),
      database,
    });
    const services: RunningService[] = [];
    for (const [index, database] of databases.entries()) {
      const contender = { ...THIS_SERVICE, letter: `a${index + 1}`, name: names[index] ?? '' };
      services.push(await startService(contender, database));
    }
    say(`signing ${callbacks} callbacks`);
    const load = await LoadGenerator.start(callbacks);
    closers.push(() => load.close());
    const [service] = services;
    if (service === undefined) throw new Error('There is no name for a service');
    const postgresVersion = await service.database.serverVersion();
    return use({
      ...{ postgres, postgresVersion, load, callbacks, service, services },
      startReplica: async ({ contender, database }) => (await startService(contender, database)).server,
      startPeer: async (contender, settings) => {
        const database = await BenchDatabase.create(postgres, `peer_${contender.letter}`);
        closers.push(() => database.close());
        return { ...(await startOne(contender, folder, database, closers, settings)), database };
      },
    });
  });
}

async function startPostgres(
  closers: Closers,
  say: WorldOptions['say'],
  settings?: PostgresSettings,
): Promise<{ folder: string; postgres: PostgresServer }> {
  const folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-bench-'));
  // The user of PostgreSQL needs access through this folder.
  await chmod(folder, 0o755);
  say('starting PostgreSQL');
  const postgres = await PostgresServer.start(join(folder, 'postgres'), settings);
  closers.push(async () => {
    await postgres.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, postgres };
}

async function start(
  { callbacks, postgresSettings, say }: WorldOptions,
  closers: Closers,
): Promise<BenchWorld> {
  const { folder, postgres } = await startPostgres(closers, say, postgresSettings);
  const storing = CONTENDERS.filter(({ stores }) => stores);
  const names = [...storing.map(({ letter }) => `contender_${letter}`), 'pgbench'];
  const databases = await BenchDatabase.createAll(postgres, names);
  closers.push(...databases.map((database) => () => database.close()));
  const database = databases.pop();
  if (database === undefined) throw new Error('There is no database for pgbench');
  say('starting the contenders');
  const contenders: RunningContender[] = [];
  for (const contender of CONTENDERS) {
    const database = contender.stores ? databases[storing.indexOf(contender)] : undefined;
    contenders.push(await startOne(contender, folder, database, closers));
  }
  const constantAnswer = await startOne(CONSTANT_ANSWER, folder, undefined, closers);
  say(`signing ${callbacks} callbacks`);
  const load = await LoadGenerator.start(callbacks);
  closers.push(() => load.close());
  const program = await Pgbench.prepare(postgres.programs, folder, database.url);
  const postgresVersion = await database.serverVersion();
  return {
    ...{ postgres, postgresVersion, contenders, constantAnswer, load, callbacks },
    pgbench: { program, database },
  };
}

async function startOne(
  contender: Contender,
  folder: string,
  database: BenchDatabase | undefined,
  closers: Closers,
  settings?: Readonly<Record<string, string>>,
): Promise<RunningContender> {
  const server = await ServerProcess.start(contender, folder, database?.url, settings);
  closers.push(() => server.close());
  return { contender, server, database };
}
