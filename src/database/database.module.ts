import { ConfigurableModuleBuilder, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { DatabaseConnection } from './database-connection.js';
import { migrateDatabase } from './migrate-database.js';
import { type DatabaseVariables, openDatabase } from './open-database.js';

export type DatabaseModuleOptions = DatabaseVariables;

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
        const connection = await openDatabase(options);
        if (connection.embedded) await migrateDatabase(connection);
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
