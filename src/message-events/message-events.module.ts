import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DATA_SOURCE } from '../process/inject-database.js';
import { MessageEvent } from './message-event.entity.js';
import { MessageEventsService } from './message-events.service.js';
import { MessageEventsStore } from './message-events.store.js';
import { MessageHistory } from './message-history.js';
import { People } from './people.js';
import { PolicyFailureReplay } from './policy-failure-replay.js';
import { ConfigurableModuleClass } from './policy-failure.js';

/** Pass a DomainEventsModule in `imports`. */
@Module({
  imports: [TypeOrmModule.forFeature([MessageEvent], DATA_SOURCE)],
  providers: [MessageEventsService, MessageEventsStore, MessageHistory, People, PolicyFailureReplay],
  exports: [MessageEventsService, MessageHistory, People, PolicyFailureReplay],
})
export class MessageEventsModule extends ConfigurableModuleClass {}
