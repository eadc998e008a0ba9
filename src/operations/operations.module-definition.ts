import { ConfigurableModuleBuilder } from '@nestjs/common';

export interface OperationsModuleOptions {
  /**
   * Keys that give access to the API. A key may follow a name for the log: `alice:key`; the whole text is then a key,
   * too. Without keys, every route answers 404. Default: none.
   */
  adminApiKeys?: readonly string[];
  /**
   * How many requests per minute from one address without a valid key this process logs and answers 401; the rest get
   * 429. Default 10.
   */
  refusalsPerMinute?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<OperationsModuleOptions>().setClassMethodName('forRoot').build();
