import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { PoolConfig } from 'pg';

export interface HealthModuleOptions {
  /** The database that events are committed to. Its `Client` is used for one connection at a time. */
  connection: PoolConfig;
  /** Does what storing an event takes, and rolls it back. @throws the error that keeps events from being stored. */
  rehearse: () => Promise<void>;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<HealthModuleOptions>().setClassMethodName('forRoot').build();
