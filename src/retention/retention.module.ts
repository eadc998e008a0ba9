import { Module } from '@nestjs/common';
import { ConfigurableModuleClass, OldEvents, OldFallbacks } from './old-rows.js';

/**
 * Deletes and erases data after its retention period. It needs a FollowerModule in the application, which counts
 * events before they are deleted.
 */
@Module({ providers: [OldEvents, OldFallbacks] })
export class RetentionModule extends ConfigurableModuleClass {}
