import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DOMAIN_EVENT_TASK, type DomainEventJob, JOB_QUEUE_SCHEMA } from './domain-event-job.js';
import type { DomainEvent, DomainEventName, DomainEvents } from './domain-events.js';

/** A time, or a delay by the database's clock. */
export type DeliveryTime = { readonly at: Date } | { readonly inMilliseconds: number };

@Injectable()
export class DomainEventPublisher {
  /**
   * Publishes events within the transaction of `manager`: they are delivered if it commits, and never if it does not.
   * @param when the earliest delivery; at once where it is left out.
   */
  async publish<Name extends DomainEventName>(
    manager: EntityManager,
    name: Name,
    events: readonly (DomainEvents[Name] & DomainEvent)[],
    when: DeliveryTime = { inMilliseconds: 0 },
  ): Promise<void> {
    const { at, inMilliseconds } = { at: null, inMilliseconds: 0, ...when };
    const jobs = events.map((event): DomainEventJob => ({ name, event }));
    await manager.query(
      `select ${JOB_QUEUE_SCHEMA}.add_job($1, job, run_at => coalesce($3::timestamptz, now() + $4 * interval '1 millisecond'))
         from json_array_elements($2::json) as job`,
      [DOMAIN_EVENT_TASK, JSON.stringify(jobs), at, inMilliseconds],
    );
  }
}
