import { type DynamicModule, Module } from '@nestjs/common';
import { HealthController } from './health.controller.js';

@Module({ controllers: [HealthController] })
export class HealthModule {
  /** @param domainEvents the DomainEventsModule whose worker counts. */
  static forDomainEvents(domainEvents: DynamicModule): DynamicModule {
    return { module: HealthModule, imports: [domainEvents] };
  }
}
