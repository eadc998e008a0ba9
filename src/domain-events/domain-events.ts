import { ConfigurableModuleBuilder, Injectable } from '@nestjs/common';
import type { PoolConfig } from 'pg';
import type { EntityManager } from 'typeorm';

/**
 * The domain events of the application: name → event. Each module that publishes events adds its own by
 * declaration merging:
 *
 *     declare module '../domain-events/domain-events.js' {
 *       interface DomainEvents { 'parcel.delivered': ParcelDelivered }
 *     }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by declaration merging
export interface DomainEvents {}

export type DomainEventName = Extract<keyof DomainEvents, string>;

/** What every domain event has: plain JSON about something that has happened. */
export interface DomainEvent {
  /** UUID; the same in every delivery of the event, so that a listener can tell a repeat. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly occurredAt: string;
}

/** graphile-worker's task identifier of the one kind of job that this module has. */
export const DOMAIN_EVENT_TASK = 'domain_event';

/** Not graphile-worker's default: an application may have its own graphile-worker, of another version, in the database. */
export const JOB_QUEUE_SCHEMA = 'whatsapp_sms_fallback_queue';

/** The payload of such a job. */
export interface DomainEventJob {
  readonly name: string;
  readonly event: DomainEvent;
}

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

export interface DomainEventsModuleOptions {
  /** The PostgreSQL that holds the queue; the same database as the tables that events are published with. */
  connection: PoolConfig;
  /** How many events this process hands to its listeners at a time. Default 10. 0: it publishes only. */
  concurrency?: number;
  /** Set where the connection does not keep prepared statements: PGlite, PgBouncer. Default false. */
  noPreparedStatements?: boolean;
  /**
   * How often to look for events, in milliseconds, where PostgreSQL's notifications do not tell of them, and for those
   * that are due later. Default 2000.
   */
  pollIntervalMilliseconds?: number;
  /**
   * How long the listeners may take over an event, in milliseconds. After that it counts as failed and comes again, and
   * five seconds later it is taken from a worker that has died with it: give all processes the same. Default 25000.
   */
  timeLimitMilliseconds?: number;
  /** How long a shutdown waits for listeners that are at work, in milliseconds. Default 8000. */
  shutdownTimeoutMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<DomainEventsModuleOptions>().setClassMethodName('forRoot').build();
