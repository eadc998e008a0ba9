import { Module } from '@nestjs/common';
import { EventCounts } from './event-counts.js';
import { EventOutbox } from './event-outbox.js';
import { ConfigurableModuleClass, Follower } from './follower.js';
import { MessageStatuses } from './message-statuses.js';

/**
 * Follows new events of the log. To update `messages.status`, pass a module in `imports` that provides MessageRecorder.
 */
@Module({ providers: [EventCounts, EventOutbox, Follower, MessageStatuses], exports: [Follower] })
export class FollowerModule extends ConfigurableModuleClass {}
