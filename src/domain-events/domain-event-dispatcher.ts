import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { EventEmitter2, EventEmitterReadinessWatcher } from '@nestjs/event-emitter';
import type { JobHelpers } from 'graphile-worker';
import {
  DOMAIN_EVENT_TASK,
  type DomainEventJob,
  type DomainEventsModuleOptions,
  MODULE_OPTIONS_TOKEN,
} from './domain-events.js';
import { keepListeners } from './graphile-worker.js';
import { JobQueueWorker } from './job-queue-worker.js';
import { Delivery } from './on-domain-event.decorator.js';

/** Takes published events from the queue and passes each to its listeners through EventEmitter2. */
@Injectable()
export class DomainEventDispatcher
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown
{
  private readonly logger = new Logger(DomainEventDispatcher.name);
  private readonly worker: JobQueueWorker;
  private readonly enabled: boolean;
  private readonly timeLimitMilliseconds: number;
  private stopped: Promise<void> = Promise.resolve();

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) options: DomainEventsModuleOptions,
    private readonly eventEmitter: EventEmitter2,
    private readonly listenersRegistered: EventEmitterReadinessWatcher,
  ) {
    this.enabled = options.concurrency !== 0;
    this.timeLimitMilliseconds = options.timeLimitMilliseconds ?? 25_000;
    this.worker = new JobQueueWorker(options, {
      [DOMAIN_EVENT_TASK]: (job, helpers) => this.dispatch(job as DomainEventJob, helpers),
    });
  }

  onApplicationBootstrap(): void {
    if (!this.enabled) return;
    // Not awaited, because a later bootstrap hook may register the listeners.
    this.listenersRegistered.waitUntilReady().then(
      () => {
        this.worker.start();
      },
      (error: unknown) => {
        this.logger.error(
          'The listeners of domain events could not be registered, so none is delivered',
          error,
        );
      },
    );
  }

  /** Stops here, because later hooks run one after the other and share the time limit of a shutdown. */
  onModuleDestroy(): void {
    this.stopped = this.worker.stop();
  }

  /** Waits for the listeners, which may still use the HTTP server, the database, and everything else. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.stopped;
  }

  /** Returns `down` if this process should take events and does not, and `off` if it only publishes. */
  state(): 'up' | 'down' | 'off' {
    if (!this.enabled) return 'off';
    return this.worker.isRunning() ? 'up' : 'down';
  }

  private async dispatch({ name, event, listeners }: DomainEventJob, helpers: JobHelpers): Promise<void> {
    // Without a listener, emitAsync resolves, and the event would count as handled.
    if (this.eventEmitter.listenerCount(name) === 0)
      throw new Error(`No listener for the domain event ${name}`);
    this.logger.debug('Domain event handed to its listeners', { name, id: event.id });
    const delivery = new Delivery(event, listeners);
    try {
      await this.withinTimeLimit(
        name,
        delivery.emit(() => this.eventEmitter.emitAsync(name, event)),
      );
    } catch (error) {
      const left = delivery.left();
      if (left !== undefined && left.length !== listeners?.length) await keepListeners(helpers, left);
      throw error;
    }
  }

  /** Limits how long the event waits for its listeners. They continue after that. */
  private async withinTimeLimit(name: string, listeners: Promise<void>): Promise<void> {
    const limit = this.timeLimitMilliseconds;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`The listeners of ${name} took longer than ${limit} ms`));
      }, limit);
    });
    try {
      await Promise.race([listeners, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }
}
