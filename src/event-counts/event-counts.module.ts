import { Module } from '@nestjs/common';
import { EventCounting } from './event-counting.js';
import { ConfigurableModuleClass } from './event-counts.module-definition.js';
import { EventCountsStore } from './event-counts.store.js';

/** Counts the events by minute, hour and day, for statistics to be answered from. */
@Module({ providers: [EventCounting, EventCountsStore] })
export class EventCountsModule extends ConfigurableModuleClass {}
