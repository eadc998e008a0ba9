import type { TestingModuleBuilder } from '@nestjs/testing';
import { EventCounting } from '../../src/event-counts/event-counting.js';
import {
  type EventCountsModuleOptions,
  MODULE_OPTIONS_TOKEN,
} from '../../src/event-counts/event-counts.module-definition.js';
import type { TestApplication } from '../support/application.js';

type Override = (builder: TestingModuleBuilder) => TestingModuleBuilder;

/** Events are counted when a spec says so: it adds some with times that are long past, which nothing else does. */
export function countingOnDemand(options: EventCountsModuleOptions = {}): Override {
  return (builder) =>
    builder.overrideProvider(MODULE_OPTIONS_TOKEN).useValue({ intervalMilliseconds: 0, ...options });
}

/** Counts all events that are older than ten seconds. */
export function countEvents(application: TestApplication): Promise<void> {
  return application.app.get(EventCounting, { strict: false }).runOnce();
}

/** As if there had never been an event. */
export async function forgetEvents(application: TestApplication): Promise<void> {
  await application.query('truncate message_events, message_event_counts');
  await application.query(`update message_event_count_watermark set counted_until = '-infinity'`);
}
