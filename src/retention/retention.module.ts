import { Module } from '@nestjs/common';
import { OldEvents } from './old-events.js';
import { ConfigurableModuleClass } from './retention.module-definition.js';

/** Deletes what is older than it may become. */
@Module({ providers: [OldEvents] })
export class RetentionModule extends ConfigurableModuleClass {}
