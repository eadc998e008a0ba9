import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface EventCountsModuleOptions {
  /** How often it is looked for events to count, in milliseconds. Default 5000. 0: never of its own accord. */
  intervalMilliseconds?: number;
  /** How old events are at the least when they are counted, in milliseconds. Default 10000. */
  settlingMilliseconds?: number;
  /** How many events are counted in one transaction at the most. Default 10000. */
  eventsInTransaction?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<EventCountsModuleOptions>().setClassMethodName('forRoot').build();
