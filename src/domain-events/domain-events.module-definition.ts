import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { PoolConfig } from 'pg';

export interface DomainEventsModuleOptions {
  /** The PostgreSQL that holds the queue; the same database as the tables that events are published with. */
  connection: PoolConfig;
  /** How many events this process hands to its listeners at a time. Default 10. 0: it publishes only. */
  concurrency?: number;
  /** Set where the connection does not keep prepared statements: PGlite, PgBouncer. Default false. */
  noPreparedStatements?: boolean;
  /**
   * How often to look for events, in milliseconds, where PostgreSQL's notifications do not tell of them, and for those
   * that are due later. Default 2000.
   */
  pollIntervalMilliseconds?: number;
  /**
   * How long the listeners may take over an event, in milliseconds. After that it counts as failed and comes again, and
   * five seconds later it is taken from a worker that has died with it: give all processes the same. Default 25000.
   */
  timeLimitMilliseconds?: number;
  /** How long a shutdown waits for listeners that are at work, in milliseconds. Default 8000. */
  shutdownTimeoutMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<DomainEventsModuleOptions>().setClassMethodName('forRoot').build();
