import { type ConfigurableModuleAsyncOptions, type DynamicModule, Module } from '@nestjs/common';
import { DashboardModule } from './dashboard/dashboard.module.js';
import type { OperationsModuleOptions } from './operations/admin-keys.js';
import { FallbackOperationsModule, type FallbackOperationsOptions } from './operations/fallback-retries.js';
import { OperationsModule } from './operations/operations.module.js';

export interface OperatorsParts {
  readonly fallbacks: ConfigurableModuleAsyncOptions<FallbackOperationsOptions>;
  readonly operations: ConfigurableModuleAsyncOptions<OperationsModuleOptions>;
  /** The TwilioModule whose outages the page shows. */
  readonly twilio: DynamicModule;
  readonly hasPage: boolean;
}

/** What operators see: the API, the metrics, and the page. */
@Module({})
export class OperatorsModule {
  static of({ fallbacks, operations, twilio, hasPage }: OperatorsParts): DynamicModule {
    const imports = [...(operations.imports ?? []), FallbackOperationsModule.forRootAsync(fallbacks)];
    const api = OperationsModule.forRootAsync({ ...operations, imports });
    return {
      module: OperatorsModule,
      imports: hasPage ? [api, DashboardModule.forOperations(api, twilio)] : [api],
    };
  }
}
