import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface EventCountsModuleOptions {
  /** How often to look for events to count, in milliseconds. Default 5000. 0: never automatically. */
  intervalMilliseconds?: number;
  /**
   * The minimum age of events that are counted, in milliseconds. Default 10000. It should be some seconds, since a
   * transaction that adds an event now may not show in `pg_stat_activity` yet.
   */
  settlingMilliseconds?: number;
  /** How long to wait for transactions that may add an older event, in milliseconds. Default 60000. */
  longestWaitMilliseconds?: number;
  /** The maximum number of events that are counted in one transaction. Default 10000. */
  eventsInTransaction?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<EventCountsModuleOptions>().setClassMethodName('forRoot').build();
