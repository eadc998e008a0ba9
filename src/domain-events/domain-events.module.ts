import { Module } from '@nestjs/common';
import { EventEmitterModule } from '@nestjs/event-emitter';
import { DomainEventDispatcher } from './domain-event-dispatcher.js';
import { ConfigurableModuleClass, DomainEventPublisher } from './domain-events.js';

@Module({
  // Not global: the application may have its own.
  imports: [EventEmitterModule.forRoot({ global: false })],
  providers: [DomainEventPublisher, DomainEventDispatcher],
  exports: [DomainEventPublisher, DomainEventDispatcher],
})
export class DomainEventsModule extends ConfigurableModuleClass {}
