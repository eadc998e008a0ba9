import { Module } from '@nestjs/common';
import { EventCounting } from './event-counting.js';
import { ConfigurableModuleClass } from './event-counts.module-definition.js';
import { EventCountsStore } from './event-counts.store.js';

/** Counts the events by minute, hour and day, as the source of statistics. */
@Module({ providers: [EventCounting, EventCountsStore] })
export class EventCountsModule extends ConfigurableModuleClass {}
