import { Module } from '@nestjs/common';
import { FallbackStore } from '../fallback/fallback.store.js';
import { FallbackRecords } from './fallback-records.js';
import { ConfigurableOperationsModule, FallbackRetries } from './fallback-retries.js';

/**
 * Reads and retries fallbacks. It sends nothing itself, so it needs no Twilio account. Pass the DomainEventsModule that
 * tells the service what is due in `imports`.
 */
@Module({
  providers: [FallbackRecords, FallbackRetries, FallbackStore],
  exports: [FallbackRecords, FallbackRetries],
})
export class FallbackOperationsModule extends ConfigurableOperationsModule {}
