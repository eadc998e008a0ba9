import type { DomainEvent } from './domain-events.js';

/** graphile-worker's task identifier of the one kind of job that this module has. */
export const DOMAIN_EVENT_TASK = 'domain_event';

/** The payload of such a job. */
export interface DomainEventJob {
  readonly name: string;
  readonly event: DomainEvent;
}
