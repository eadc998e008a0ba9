import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { dataSourceOptions } from '../database/data-source-options.js';
import { type DatabaseConnection, queueSchemaOf } from '../database/database-connection.js';
import { openMigrated } from '../database/open-database.js';
import { DomainEventsModule } from '../domain-events/domain-events.module.js';
import { MessageEventsModule } from '../message-events/message-events.module.js';
import { PolicyFailureReplay } from '../message-events/policy-failure-replay.js';
import { FallbackRecords } from '../operations/fallback-records.js';
import { FallbackOperationsModule, FallbackRetries } from '../operations/fallback-retries.js';
import { DATA_SOURCE } from '../process/inject-database.js';
import { NumberErasure } from '../retention/number-erasure.js';

/** The services that commands use. */
export interface Operations {
  readonly records: FallbackRecords;
  readonly retries: FallbackRetries;
  readonly policyFailures: PolicyFailureReplay;
  readonly erasure: NumberErasure;
  /** Closes everything but the connection, which the caller opened. */
  close(): Promise<void>;
}

export interface OperationsOptions {
  /** The service's own setting. */
  readonly policyFailureErrorCodes?: readonly string[];
  readonly maximumAgeMilliseconds?: number;
}

/**
 * Opens the parts of the service that commands need. They do not listen, take jobs or call Twilio.
 * @throws StartupError when a migration is missing.
 */
export async function openOperations(
  connection: DatabaseConnection,
  options: OperationsOptions = {},
): Promise<Operations> {
  const context = await NestFactory.createApplicationContext(OperationsModule.on(connection, options), {
    abortOnError: false,
  });
  return {
    records: context.get(FallbackRecords, { strict: false }),
    retries: context.get(FallbackRetries, { strict: false }),
    policyFailures: context.get(PolicyFailureReplay, { strict: false }),
    erasure: context.get(NumberErasure, { strict: false }),
    close: () => context.close(),
  };
}

@Module({ providers: [NumberErasure] })
class OperationsModule {
  static on(connection: DatabaseConnection, options: OperationsOptions): DynamicModule {
    const typeOrm = TypeOrmModule.forRootAsync({
      name: DATA_SOURCE,
      useFactory: () => ({ ...dataSourceOptions(connection), toRetry: () => false }),
      dataSourceFactory: openMigrated,
    });
    // Publishes only; the service does the sending.
    const domainEvents = DomainEventsModule.forRoot({
      connection: connection.client,
      schema: queueSchemaOf(connection.schema),
      concurrency: 0,
    });
    const messageEvents = MessageEventsModule.forRootAsync({
      imports: [domainEvents],
      useFactory: () => options,
    });
    return {
      module: OperationsModule,
      imports: [
        typeOrm,
        domainEvents,
        messageEvents,
        FallbackOperationsModule.forRootAsync({
          imports: [domainEvents, messageEvents],
          useFactory: () => options,
        }),
      ],
    };
  }
}
