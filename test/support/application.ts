import type { ModuleMetadata } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import type { AddressInfo } from 'node:net';
import type { DataSource } from 'typeorm';
import { demoAccount } from '../../simulator/demo-account.js';
import type { SimulatorOptions } from '../../simulator/simulator-types.js';
import { TwilioSimulator } from '../../simulator/twilio-simulator.js';
import { AppModule, optionsOf } from '../../src/app.module.js';
import { configureApp } from '../../src/app.setup.js';
import { type Env, ENV, EnvModule, envSchema } from '../../src/config/env.js';
import { parseEnv } from '../../src/config/parse-env.js';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import { DATABASE_CONNECTION } from '../../src/database/database.module.js';
import { PreparedExpressAdapter } from '../../src/process/express-server.js';
import { DATA_SOURCE_TOKEN } from '../../src/process/inject-database.js';
import { MODULE_OPTIONS_TOKEN as POLLING_OPTIONS } from '../../src/status-polling/message-polls.store.js';
import {
  WhatsappSmsFallbackModule,
  type WhatsappSmsFallbackOptions,
  type WhatsappSmsFallbackParts,
} from '../../src/whatsapp-sms-fallback.module.js';
import { CollectedLogs } from './collected-logs.js';
import { createTestDatabase } from './test-database.js';

export const PUBLIC_BASE_URL = 'https://hooks.example.com';
export const WEBHOOK_PATH = '/api/webhooks/twilio/message-status';
export const WEBHOOK_URL = PUBLIC_BASE_URL + WEBHOOK_PATH;

export interface ApplicationOptions {
  /** Variables that differ from the defaults below. `undefined` removes one. */
  env?: Readonly<Record<string, string | undefined>>;
  /** The parts of the module, which AppModule leaves at their defaults. */
  parts?: WhatsappSmsFallbackParts;
  /** Options of the module that no variable sets. */
  options?: Partial<WhatsappSmsFallbackOptions>;
  /** More modules, as another team would add them. */
  imports?: ModuleMetadata['imports'];
  /** A database that applications share. The caller closes it. */
  database?: DatabaseConnection;
  simulator?: SimulatorOptions;
  override?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
  /** What a team does with its application before it starts. */
  configure?: (app: NestExpressApplication) => unknown;
}

/** The real AppModule on a real database and a real port, with a fake Twilio on the network. */
export class TestApplication {
  private constructor(
    readonly app: NestExpressApplication,
    readonly twilio: TwilioSimulator,
    readonly logs: CollectedLogs,
    private readonly ownedDatabase: DatabaseConnection | null,
  ) {}

  static async start(options: ApplicationOptions = {}): Promise<TestApplication> {
    const database = options.database ?? (await createTestDatabase());
    const target: { origin?: string } = {};
    const twilio = await TwilioSimulator.start({
      accounts: { [demoAccount.sid]: demoAccount.authToken },
      rewriteUrl: (url) => url.replace(PUBLIC_BASE_URL, target.origin ?? PUBLIC_BASE_URL),
      ...options.simulator,
    });
    const ownedDatabase = options.database === undefined ? database : null;
    try {
      const logs = new CollectedLogs();
      const app = await createApplication(options, database, twilio, logs);
      await app.listen(0, '127.0.0.1');
      const { port } = app.getHttpServer().address() as AddressInfo;
      target.origin = `http://127.0.0.1:${port}`;
      return new TestApplication(app, twilio, logs, ownedDatabase);
    } catch (error) {
      await twilio.close();
      await ownedDatabase?.close();
      throw error;
    }
  }

  get origin(): string {
    const { port } = this.app.getHttpServer().address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  get dataSource(): DataSource {
    return this.app.get(DATA_SOURCE_TOKEN);
  }

  query<Row = Record<string, unknown>>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return this.dataSource.query<Row[]>(sql, parameters);
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.twilio.close();
    await this.ownedDatabase?.close();
  }
}

function serviceModule({ parts, options }: ApplicationOptions) {
  if (parts === undefined && options === undefined) return AppModule;
  return WhatsappSmsFallbackModule.forRootAsync({
    imports: [EnvModule],
    inject: [ENV],
    useFactory: (env: Env) => ({ ...optionsOf(env), ...options }),
    ...parts,
  });
}

async function createApplication(
  options: ApplicationOptions,
  database: DatabaseConnection,
  twilio: TwilioSimulator,
  logs: CollectedLogs,
): Promise<NestExpressApplication> {
  const env = parseEnv(
    {
      TWILIO_ACCOUNT_SID: demoAccount.sid,
      TWILIO_AUTH_TOKEN: demoAccount.authToken,
      TWILIO_PHONE_NUMBER_REMINDERS: '+15550009999',
      TWILIO_API_BASE_URL: twilio.baseUrl,
      PUBLIC_BASE_URL,
      ...options.env,
    },
    envSchema,
  );
  const builder = Test.createTestingModule({ imports: [serviceModule(options), ...(options.imports ?? [])] })
    .setLogger(logs)
    .overrideProvider(ENV)
    .useValue(env)
    .overrideProvider(DATABASE_CONNECTION)
    .useValue({
      ...database,
      client: database.client,
      embedded: database.embedded,
      applicationTables: env.ORIGINAL_MESSAGES === 'tables',
      close: () => Promise.resolve(),
    });
  // The specs of polling run its rounds themselves.
  if (options.env?.['STATUS_POLL_AFTER_MINUTES'] === undefined) {
    builder
      .overrideProvider(POLLING_OPTIONS)
      .useValue({ accountSid: env.TWILIO_ACCOUNT_SID, intervalMilliseconds: 0 });
  }
  const module = await (options.override?.(builder) ?? builder).compile();
  const app = module.createNestApplication<NestExpressApplication>(new PreparedExpressAdapter(), {
    bodyParser: false,
  });
  app.useLogger(logs);
  options.configure?.(app);
  return configureApp(app);
}
