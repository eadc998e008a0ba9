import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../harness/postgres-server.js';
import { TwilioSimulator } from '../simulator/twilio-simulator.js';
import { DEFAULT_SENDER, MAIN_ACCOUNT, SUBACCOUNT } from './accounts.js';
import { ApplicationDatabase } from './application-database.js';
import { Balancer, PUBLIC_BASE_URL } from './balancer.js';
import type { DatabaseServers } from './database-servers.js';
import { REPLICAS } from './fault-schedule.js';
import type { ChaosOptions } from './options.js';
import { Random } from './random.js';
import { ReplicaEnds } from './replica-ends.js';
import { Replica } from './replica.js';
import { smsPlan } from './status-steps.js';

/** Everything that runs: PostgreSQL, the fake Twilio, two replicas of the service, and the application. */
export class World {
  readonly replicas: Replica[] = [];
  readonly ends = new ReplicaEnds();

  /** When the service's connections were last cut, in milliseconds since 1970. */
  connectionsCutAt = 0;

  /** How many requests to send an SMS the fake Twilio has received. */
  creates = 0;

  private constructor(
    /** The folder of the logs and the database. */
    readonly folder: string,
    readonly postgres: DatabaseServers,
    readonly twilio: TwilioSimulator,
    readonly database: ApplicationDatabase,
  ) {
    twilio.on('request', ({ method }) => {
      if (method === 'POST') this.creates += 1;
    });
  }

  /** @param startPostgres starts PostgreSQL in an existing folder. */
  static async start<Servers extends DatabaseServers>(
    options: ChaosOptions,
    startPostgres: (folder: string) => Promise<Servers>,
  ): Promise<{ world: World; servers: Servers }> {
    const folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-chaos-'));
    // The user of PostgreSQL needs access through this folder.
    await chmod(folder, 0o755);
    const postgres = await startPostgres(folder);
    try {
      await migrate(folder, postgres.url);
      return { world: await World.#around(folder, postgres, options), servers: postgres };
    } catch (error) {
      await postgres.close();
      throw error;
    }
  }

  static async #around(folder: string, postgres: DatabaseServers, options: ChaosOptions): Promise<World> {
    const replicas: Replica[] = [];
    const balancer = new Balancer(replicas);
    const random = new Random(options.seed + 1);
    const twilio = await TwilioSimulator.start({
      accounts: { [MAIN_ACCOUNT.sid]: MAIN_ACCOUNT.token, [SUBACCOUNT.sid]: SUBACCOUNT.token },
      rewriteUrl: (url) => balancer.route(url),
      callbackPlan: smsPlan(random),
      keepConnectionsOpen: true,
      retryPauseMilliseconds: 1_500,
    });
    const world = new World(folder, postgres, twilio, new ApplicationDatabase(postgres.url));
    for (const name of REPLICAS) {
      const settings = {
        name,
        port: await freePort(),
        env: serviceEnv(postgres.serviceUrl(name), twilio, options),
        folder,
        logFile: join(folder, `replica-${name}.log`),
        databaseWasAwaySince: (time: number) => postgres.wasAwaySince(time) || world.connectionsCutAt >= time,
      };
      replicas.push(new Replica(settings, world.ends));
    }
    world.replicas.push(...replicas);
    return world;
  }

  /** Ends everything that was started, and keeps the logs on request. */
  async close(keepLogs: boolean): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.retire()));
    await this.twilio.close();
    await this.database.close();
    await this.postgres.close();
    const entries = await readdir(this.folder, { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory());
    const removed = keepLogs ? folders.map(({ name }) => join(this.folder, name, 'cluster')) : [this.folder];
    for (const each of removed) await rm(each, { recursive: true, force: true });
  }
}

async function migrate(folder: string, url: string): Promise<void> {
  const program = fileURLToPath(new URL('../src/commands/main.js', import.meta.url));
  const env = { PATH: process.env.PATH, DATABASE_URL: url };
  await promisify(execFile)(process.execPath, [program, 'migrate'], { cwd: folder, env });
}

function serviceEnv(
  databaseUrl: string,
  twilio: TwilioSimulator,
  { pollAfterMinutes }: ChaosOptions,
): Record<string, string> {
  return {
    TWILIO_ACCOUNT_SID: MAIN_ACCOUNT.sid,
    TWILIO_AUTH_TOKEN: MAIN_ACCOUNT.token,
    TWILIO_SUBACCOUNTS: `${SUBACCOUNT.sid}:${SUBACCOUNT.token}`,
    TWILIO_PHONE_NUMBER_REMINDERS: DEFAULT_SENDER,
    TWILIO_API_BASE_URL: twilio.baseUrl,
    DATABASE_URL: databaseUrl,
    PUBLIC_BASE_URL,
    HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
    NODE_ENV: 'production',
    // 0 switches it off.
    STATUS_POLL_AFTER_MINUTES: String(pollAfterMinutes ?? 0),
  };
}
