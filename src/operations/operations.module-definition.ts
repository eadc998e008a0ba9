import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface OperationsModuleOptions {
  /** Who has one of these may use the API. A key may follow a name for the log: `alice:key`; the whole is let in, too. Without any, every route answers 404. Default: none. */
  adminApiKeys?: readonly string[];
  /** How many requests of one address without a valid key this process answers 401 and logs within a minute; then 429. Default 10. */
  refusalsPerMinute?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<OperationsModuleOptions>().setClassMethodName('forRoot').build();
