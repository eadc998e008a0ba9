import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TwilioSimulator } from '../simulator/twilio-simulator.js';
import { DEFAULT_SENDER, MAIN_ACCOUNT, SUBACCOUNT } from './accounts.js';
import { ApplicationDatabase } from './application-database.js';
import { Balancer, PUBLIC_BASE_URL } from './balancer.js';
import { REPLICAS } from './fault-schedule.js';
import { freePort } from './free-port.js';
import type { ChaosOptions } from './options.js';
import { PostgresServer } from './postgres-server.js';
import { Random } from './random.js';
import { Replica } from './replica.js';
import { ReplicaEnds } from './replica-ends.js';
import { smsPlan } from './status-steps.js';

/** Everything that runs: a PostgreSQL server, the fake Twilio, two replicas of the service, and the application. */
export class World {
  readonly replicas: Replica[] = [];
  readonly ends = new ReplicaEnds();

  /** How many requests to send an SMS the fake Twilio has got. */
  creates = 0;

  private constructor(
    /** Logs, and the database. */
    readonly folder: string,
    readonly postgres: PostgresServer,
    readonly twilio: TwilioSimulator,
    readonly database: ApplicationDatabase,
  ) {
    twilio.on('request', ({ method }) => {
      if (method === 'POST') this.creates += 1;
    });
  }

  static async start(options: ChaosOptions): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'whatsapp-sms-fallback-chaos-'));
    // The user of PostgreSQL has to get through.
    await chmod(folder, 0o755);
    const postgres = await PostgresServer.start(join(folder, 'postgres'));
    try {
      await migrate(folder, postgres.url);
      return await World.#around(folder, postgres, options);
    } catch (error) {
      await postgres.close();
      throw error;
    }
  }

  static async #around(folder: string, postgres: PostgresServer, options: ChaosOptions): Promise<World> {
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
        env: serviceEnv(postgres, twilio, options),
        folder,
        logFile: join(folder, `replica-${name}.log`),
        databaseWasAwaySince: (time: number) => postgres.wasAwaySince(time),
      };
      replicas.push(new Replica(settings, world.ends));
    }
    world.replicas.push(...replicas);
    return world;
  }

  /** Ends everything that was started, and keeps the logs where they are asked for. */
  async close(keepLogs: boolean): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.retire()));
    await this.twilio.close();
    await this.database.close();
    await this.postgres.close();
    await rm(keepLogs ? join(this.folder, 'postgres', 'cluster') : this.folder, {
      recursive: true,
      force: true,
    });
  }
}

async function migrate(folder: string, url: string): Promise<void> {
  const program = fileURLToPath(new URL('../src/database/migrate.js', import.meta.url));
  const env = { PATH: process.env.PATH, DATABASE_URL: url };
  await promisify(execFile)(process.execPath, [program], { cwd: folder, env });
}

function serviceEnv(
  postgres: PostgresServer,
  twilio: TwilioSimulator,
  { pollAfterMinutes }: ChaosOptions,
): Record<string, string> {
  return {
    TWILIO_ACCOUNT_SID: MAIN_ACCOUNT.sid,
    TWILIO_AUTH_TOKEN: MAIN_ACCOUNT.token,
    TWILIO_SUBACCOUNTS: `${SUBACCOUNT.sid}:${SUBACCOUNT.token}`,
    TWILIO_PHONE_NUMBER_REMINDERS: DEFAULT_SENDER,
    TWILIO_API_BASE_URL: twilio.baseUrl,
    DATABASE_URL: postgres.url,
    PUBLIC_BASE_URL,
    HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
    NODE_ENV: 'production',
    // 0 switches it off.
    STATUS_POLL_AFTER_MINUTES: String(pollAfterMinutes ?? 0),
  };
}
