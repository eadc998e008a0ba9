import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { MessageEvent } from './message-event.entity.js';
import { ConfigurableModuleClass } from './message-events.module-definition.js';
import { MessageEventsService } from './message-events.service.js';
import { MessageEventsStore } from './message-events.store.js';

/** Give it a DomainEventsModule in `imports`. */
@Module({
  imports: [TypeOrmModule.forFeature([MessageEvent])],
  providers: [MessageEventsService, MessageEventsStore],
  exports: [MessageEventsService],
})
export class MessageEventsModule extends ConfigurableModuleClass {}
