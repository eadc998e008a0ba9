import type { TestingModuleBuilder } from '@nestjs/testing';
import { Follower, MODULE_OPTIONS_TOKEN } from '../../src/follower/follower.js';
import type { TestApplication } from './application.js';
import { until } from './until.js';

type Override = (builder: TestingModuleBuilder) => TestingModuleBuilder;

/** Follows new events only on `follow()`. */
export const followingOnDemand: Override = (builder) =>
  builder.overrideProvider(MODULE_OPTIONS_TOKEN).useValue({ intervalMilliseconds: 0 });

/** Waits until every event in the log is followed, also those that the application follows at the same time. */
export async function follow(application: TestApplication): Promise<void> {
  await until('the log to be followed', async () => {
    await application.app.get(Follower, { strict: false }).runOnce();
    const due = await application.query('select from message_event_outbox where due_at <= now() limit 1');
    return due.length === 0;
  });
}

/** Follows what is to be tried again later, too. */
export async function followAgainNow(application: TestApplication): Promise<void> {
  await application.query('update message_event_outbox set due_at = now()');
  await follow(application);
}

/**
 * Adds events as the service does, with their rows in the outbox.
 * @param insert an `insert into message_events` without `returning`.
 */
export async function addEvents(
  application: Pick<TestApplication, 'query'>,
  insert: string,
  parameters: unknown[] = [],
): Promise<void> {
  await application.query(
    `with added as (${insert} returning id, message_sid)
     insert into message_event_outbox (id, message_sid) select id, message_sid from added`,
    parameters,
  );
}

/** Adds the outbox rows of events that were inserted without them. */
export async function queueEvents(application: Pick<TestApplication, 'query'>): Promise<void> {
  await application.query(
    'insert into message_event_outbox (id, message_sid) select id, message_sid from message_events',
  );
}

/** Deletes all events, with their outbox rows and counts. */
export async function forgetEvents(application: TestApplication): Promise<void> {
  await application.query('truncate message_events, message_event_outbox, message_event_counts');
}
