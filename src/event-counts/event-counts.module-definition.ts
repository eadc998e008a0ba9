import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface EventCountsModuleOptions {
  /** How often it is looked for events to count, in milliseconds. Default 5000. 0: never of its own accord. */
  intervalMilliseconds?: number;
  /**
   * How old events are at the least when they are counted, in milliseconds. Default 10000. Some seconds, since one that is
   * added at this moment need not show in `pg_stat_activity` yet.
   */
  settlingMilliseconds?: number;
  /** How long transactions that may add an older event are waited for, in milliseconds. Default 60000. */
  longestWaitMilliseconds?: number;
  /** How many events are counted in one transaction at the most. Default 10000. */
  eventsInTransaction?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<EventCountsModuleOptions>().setClassMethodName('forRoot').build();
