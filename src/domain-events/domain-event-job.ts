import type { DomainEvent } from './domain-events.js';

/** graphile-worker's task identifier of the one kind of job that this module has. */
export const DOMAIN_EVENT_TASK = 'domain_event';

/** Not graphile-worker's default: an application may have its own graphile-worker, of another version, in the database. */
export const JOB_QUEUE_SCHEMA = 'whatsapp_sms_fallback_queue';

/** The payload of such a job. */
export interface DomainEventJob {
  readonly name: string;
  readonly event: DomainEvent;
}
