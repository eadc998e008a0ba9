import type { TestingModuleBuilder } from '@nestjs/testing';
import type { DatabaseConnection } from '../../src/database/database-connection.js';
import {
  type DomainEventsModuleOptions,
  MODULE_OPTIONS_TOKEN,
} from '../../src/domain-events/domain-events.js';
import type { TestApplication } from './application.js';
import { until } from './until.js';

/** A row of the job queue. */
export interface QueuedJob {
  id: string;
  name: string;
  event: Record<string, unknown>;
  attempts: number;
  last_error: string | null;
  run_at: Date;
  locked_at: Date | null;
}

/** Returns the jobs of the domain events with this name. */
export function jobsOf(application: TestApplication, name: string): Promise<QueuedJob[]> {
  return application.query<QueuedJob>(
    `select id, payload->>'name' as name, payload->'event' as event, attempts, last_error, run_at, locked_at
       from whatsapp_sms_fallback_queue._private_jobs where payload->>'name' = $1 order by id`,
    [name],
  );
}

/** Makes the waiting jobs due now. */
export async function runWaitingJobs(application: TestApplication): Promise<void> {
  await application.query(
    `select whatsapp_sms_fallback_queue.reschedule_jobs(array_agg(id), run_at => now())
       from whatsapp_sms_fallback_queue.jobs where run_at > now() having count(*) > 0`,
  );
}

/** Backdates the due time of the jobs by this many minutes. */
export async function ageJobs(application: TestApplication, minutes: number): Promise<void> {
  await application.query(
    `update whatsapp_sms_fallback_queue._private_jobs set run_at = now() - $1 * interval '1 minute'`,
    [minutes],
  );
}

/** Waits until every job is done. Scheduled jobs run at once. */
export async function untilQueueIsEmpty(application: TestApplication): Promise<void> {
  await until('the queue to be empty', async () => {
    await runWaitingJobs(application);
    const [row] = await application.query<{ jobs: string }>(
      'select count(*) as jobs from whatsapp_sms_fallback_queue.jobs',
    );
    return row?.jobs === '0';
  });
}

/** Sets options of the domain events, with AppModule's defaults for this database. */
export function withDomainEventsOptions(
  database: DatabaseConnection,
  options: Partial<DomainEventsModuleOptions>,
): (builder: TestingModuleBuilder) => TestingModuleBuilder {
  const usual = { connection: database.client, noPreparedStatements: database.embedded };
  return (builder) => builder.overrideProvider(MODULE_OPTIONS_TOKEN).useValue({ ...usual, ...options });
}
