import { Module } from '@nestjs/common';
import { OldEvents } from './old-events.js';
import { OldFallbacks } from './old-fallbacks.js';
import { ConfigurableModuleClass } from './retention.module-definition.js';

/**
 * Deletes and erases what is older than it may become. It needs an EventCountsModule beside it, which counts events before they go.
 */
@Module({ providers: [OldEvents, OldFallbacks] })
export class RetentionModule extends ConfigurableModuleClass {}
