import { Module } from '@nestjs/common';
import { OldEvents, OldFallbacks } from './old-rows.js';
import { ConfigurableModuleClass } from './retention.module-definition.js';

/**
 * Deletes and erases data after its retention period. It needs a FollowerModule in the application, which counts
 * events before they are deleted.
 */
@Module({ providers: [OldEvents, OldFallbacks] })
export class RetentionModule extends ConfigurableModuleClass {}
