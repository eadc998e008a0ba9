import { Module } from '@nestjs/common';
import { OldEvents } from './old-events.js';
import { ConfigurableModuleClass } from './retention.module-definition.js';

/** Deletes what is older than it may become. It needs an EventCountsModule beside it, which counts events before they go. */
@Module({ providers: [OldEvents] })
export class RetentionModule extends ConfigurableModuleClass {}
