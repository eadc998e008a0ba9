import { ConfigurableModuleBuilder, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { DatabaseConnection } from './database-connection.js';
import { migrateDatabase } from './migrate-database.js';
import { openDatabase } from './open-database.js';

export interface DatabaseModuleOptions {
  /** `postgresql://…`. Default: the embedded PostgreSQL, which serves one process. */
  readonly databaseUrl?: string | undefined;
  /**
   * The schema of the service's tables; the queue has its own, with `_queue` at the end. `migrate` creates both. Default:
   * the first schema of the role's search_path, and `whatsapp_sms_fallback_queue`.
   */
  readonly schema?: string | undefined;
  /** An open database to use instead, e.g. one that tests share. The module closes it as it ends. */
  readonly connection?: DatabaseConnection | undefined;
  /** The folder of the embedded PostgreSQL. Default `.data/`. */
  readonly embeddedDataDir?: string | undefined;
  /**
   * Whether the application's messages are in the tables messages, conversations, and companies. If not, these are not
   * used, whether they exist or not, and each SMS has the text that Twilio has. Default true.
   */
  readonly applicationTables?: boolean | undefined;
  /** Whether to apply missing migrations at the start. Default: only to the embedded PostgreSQL. */
  readonly migrate?: boolean | undefined;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<DatabaseModuleOptions>().setClassMethodName('forRoot').build();

/** Injection token of the `DatabaseConnection`. */
export const DATABASE_CONNECTION = Symbol('DATABASE_CONNECTION');

/** Opens the database, and closes it after every module that uses it. */
@Module({
  providers: [
    {
      provide: DATABASE_CONNECTION,
      inject: [MODULE_OPTIONS_TOKEN],
      useFactory: async (options: DatabaseModuleOptions): Promise<DatabaseConnection> => {
        const {
          databaseUrl,
          schema,
          embeddedDataDir = '.data/',
          applicationTables,
          migrate = false,
        } = options;
        const connection =
          options.connection ??
          (await openDatabase({
            DATABASE_URL: databaseUrl,
            DATABASE_SCHEMA: schema,
            EMBEDDED_DATA_DIR: embeddedDataDir,
            ORIGINAL_MESSAGES: applicationTables === false ? 'twilio' : 'tables',
          }));
        if (migrate || connection.embedded) await migrateDatabase(connection);
        return connection;
      },
    },
  ],
  exports: [DATABASE_CONNECTION],
})
export class DatabaseModule extends ConfigurableModuleClass implements OnApplicationShutdown {
  constructor(@Inject(DATABASE_CONNECTION) private readonly connection: DatabaseConnection) {
    super();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.connection.close();
  }
}
