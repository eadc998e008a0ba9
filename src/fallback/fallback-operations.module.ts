import { type DynamicModule, Module } from '@nestjs/common';
import { FallbackRecords } from './fallback-records.js';
import { FallbackRetries } from './fallback-retries.js';

/** Looks at fallbacks and tries them again. It sends nothing by itself, so it needs no account at Twilio. */
@Module({ providers: [FallbackRecords, FallbackRetries], exports: [FallbackRecords, FallbackRetries] })
export class FallbackOperationsModule {
  /** @param domainEvents the DomainEventsModule through which the service learns what is due. */
  static forDomainEvents(domainEvents: DynamicModule): DynamicModule {
    return { module: FallbackOperationsModule, imports: [domainEvents] };
  }
}
