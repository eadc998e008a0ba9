import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface RetentionModuleOptions {
  /** How long events, and the numbers and texts of ended fallbacks, are kept, in days; at least 3. Default: forever. */
  retentionDays?: number;
  /** How often to look for older ones, in milliseconds. Default 60000. 0: never. */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<RetentionModuleOptions>().setClassMethodName('forRoot').build();
