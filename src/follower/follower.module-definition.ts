import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface FollowerModuleOptions {
  /** How often to look for new events, in milliseconds. Default 500. 0: only on `runOnce()`. */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<FollowerModuleOptions>().setClassMethodName('forRoot').build();
