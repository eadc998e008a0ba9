import { Module } from '@nestjs/common';
import { FallbackRecords } from './fallback-records.js';
import { FallbackRetries } from './fallback-retries.js';
import { ConfigurableOperationsModule } from './fallback.module-definition.js';

/**
 * Reads and retries fallbacks. It sends nothing itself, so it needs no Twilio account. Pass the DomainEventsModule that
 * tells the service what is due in `imports`.
 */
@Module({ providers: [FallbackRecords, FallbackRetries], exports: [FallbackRecords, FallbackRetries] })
export class FallbackOperationsModule extends ConfigurableOperationsModule {}
