import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { MetricsExchange } from '../cluster/metrics-exchange.js';

export interface OperationsModuleOptions {
  /** Who has one of these may use the API. A key may follow a name for the log: `alice:key`; the whole is let in, too. Without any, every route answers 404. Default: none. */
  adminApiKeys?: readonly string[];
  /** How many requests of one address without a valid key this process answers 401 and logs within a minute; then 429. Default 10. */
  refusalsPerMinute?: number;
  /** Of one of several processes on one port: each tells the metrics of all. Default: this process's own are told. */
  metricsExchange?: MetricsExchange;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<OperationsModuleOptions>().setClassMethodName('forRoot').build();
