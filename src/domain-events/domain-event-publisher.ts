import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { DOMAIN_EVENT_TASK, type DomainEventJob } from './domain-event-job.js';
import type { DomainEvent, DomainEventName, DomainEvents } from './domain-events.js';

@Injectable()
export class DomainEventPublisher {
  /**
   * Publishes events within the transaction of `manager`: they are delivered if it commits, and never if it does not.
   * @param after the earliest delivery; at once where it is left out.
   */
  async publish<Name extends DomainEventName>(
    manager: EntityManager,
    name: Name,
    events: readonly (DomainEvents[Name] & DomainEvent)[],
    after: Date | null = null,
  ): Promise<void> {
    const jobs = events.map((event): DomainEventJob => ({ name, event }));
    await manager.query(
      `select graphile_worker.add_job($1, job, run_at => coalesce($3::timestamptz, now()))
         from json_array_elements($2::json) as job`,
      [DOMAIN_EVENT_TASK, JSON.stringify(jobs), after],
    );
  }
}
