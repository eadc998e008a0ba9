import { Module } from '@nestjs/common';
import { FallbackRecords } from './fallback-records.js';
import { FallbackRetries } from './fallback-retries.js';
import { ConfigurableOperationsModule } from './fallback.module-definition.js';

/**
 * Looks at fallbacks and tries them again. It sends nothing by itself, so it needs no account at Twilio. Give it the
 * DomainEventsModule through which the service learns what is due, in `imports`.
 */
@Module({ providers: [FallbackRecords, FallbackRetries], exports: [FallbackRecords, FallbackRetries] })
export class FallbackOperationsModule extends ConfigurableOperationsModule {}
