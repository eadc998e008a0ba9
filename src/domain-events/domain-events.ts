import { ConfigurableModuleBuilder, Inject, Injectable } from '@nestjs/common';
import { EventEmitter2 } from '@nestjs/event-emitter';
import type { PoolConfig } from 'pg';
import type { EntityManager } from 'typeorm';
import type { DomainEvent, DomainEventName, DomainEvents } from './domain-event.js';

/** graphile-worker's task identifier of all jobs of this module. */
export const DOMAIN_EVENT_TASK = 'domain_event';

/**
 * The queue's schema, in statements too: the connections of a service whose tables are in a schema of their own put the
 * name of its queue in its place. Differs from graphile-worker's default, because an application may have another
 * version of it in the database.
 */
export const JOB_QUEUE_SCHEMA = 'whatsapp_sms_fallback_queue';

/** The payload of a job. */
export interface DomainEventJob {
  readonly name: string;
  readonly event: DomainEvent;
  /** The listeners that have not handled it yet, after one has; missing: all. */
  readonly listeners?: readonly string[];
}

/** A time, or a delay by the database's clock. */
export type DeliveryTime = { readonly at: Date } | { readonly inMilliseconds: number };

export interface DomainEventsModuleOptions {
  /** The database of the queue, and of the tables that are changed when events are published. */
  connection: PoolConfig;
  /** The queue's schema. Default `whatsapp_sms_fallback_queue`. */
  schema?: string;
  /** How many events this process handles at a time. Default 10. 0: it only publishes. */
  concurrency?: number;
  /** True if the connection does not keep prepared statements: PGlite, PgBouncer. Default false. */
  noPreparedStatements?: boolean;
  /**
   * How often to look for events that PostgreSQL's notifications do not announce, and for delayed ones, in
   * milliseconds. Default 2000.
   */
  pollIntervalMilliseconds?: number;
  /**
   * How long the listeners may take for an event, in milliseconds. After that it counts as failed and is delivered
   * again; five seconds later it is taken from a dead worker. Use the same value in all processes. Default 25000.
   */
  timeLimitMilliseconds?: number;
  /** How long a shutdown waits for running listeners, in milliseconds. Default 8000. */
  shutdownTimeoutMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<DomainEventsModuleOptions>().setClassMethodName('forRoot').build();

@Injectable()
export class DomainEventPublisher {
  private readonly statement: string;

  constructor(
    private readonly eventEmitter: EventEmitter2,
    @Inject(MODULE_OPTIONS_TOKEN) { schema = JOB_QUEUE_SCHEMA }: DomainEventsModuleOptions,
  ) {
    // It may run on a connection of the application, which knows nothing of JOB_QUEUE_SCHEMA.
    this.statement = PUBLISH.replaceAll(JOB_QUEUE_SCHEMA, schema);
  }

  /** Whether the application listens to an event. One without a listener could not be delivered. */
  hasListeners(name: DomainEventName): boolean {
    return this.eventEmitter.listenerCount(name) > 0;
  }

  /**
   * Publishes events in the transaction of `manager`: they are delivered if it commits, and never otherwise.
   * @param when the earliest delivery. Default: at once.
   */
  async publish<Name extends DomainEventName>(
    manager: EntityManager,
    name: Name,
    events: readonly (DomainEvents[Name] & DomainEvent)[],
    when: DeliveryTime = { inMilliseconds: 0 },
  ): Promise<void> {
    if (events.length === 0) return;
    const { at, inMilliseconds } = { at: null, inMilliseconds: 0, ...when };
    const jobs = events.map((event): DomainEventJob => ({ name, event }));
    await manager.query(this.statement, [JSON.stringify(jobs), at, inMilliseconds]);
  }
}

/**
 * Returns SQL that adds jobs in one call, and counts them.
 * @param jobs a query for the payloads, a column of JSON named `job`. It must find at least one.
 * @param runAt when they are due.
 */
export function addJobs(jobs: string, runAt = 'now()'): string {
  return `
select count(*) from ${JOB_QUEUE_SCHEMA}.add_jobs(array(
  select row('${DOMAIN_EVENT_TASK}', job, null, ${runAt}, null, null, null, null)::${JOB_QUEUE_SCHEMA}.job_spec
    from (${jobs}) as added
))`;
}

const PUBLISH = addJobs(
  'select job from json_array_elements($1::json) as job',
  `coalesce($2::timestamptz, now() + $3 * interval '1 millisecond')`,
);
