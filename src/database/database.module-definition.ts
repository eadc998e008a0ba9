import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { Env } from '../config/env.js';

export type DatabaseModuleOptions = Pick<Env, 'DATABASE_URL' | 'EMBEDDED_DATA_DIR'>;

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<DatabaseModuleOptions>().setClassMethodName('forRoot').build();
