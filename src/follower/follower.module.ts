import { Module } from '@nestjs/common';
import { EventCounts } from './event-counts.js';
import { EventOutbox } from './event-outbox.js';
import { ConfigurableModuleClass, Follower } from './follower.js';
import { MessageStatuses } from './message-statuses.js';

/** Does what follows from new events of the log. Pass a module in `imports` that provides MessageRecorder, if `messages.status` is to follow. */
@Module({ providers: [EventCounts, EventOutbox, Follower, MessageStatuses], exports: [Follower] })
export class FollowerModule extends ConfigurableModuleClass {}
