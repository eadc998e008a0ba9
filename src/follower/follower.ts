import { ConfigurableModuleBuilder, Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { InjectDatabase } from '../process/inject-database.js';
import { PeriodicWork } from '../process/periodic-work.js';
import { EventCounts } from './event-counts.js';
import { EventOutbox, type MessageAgain, type NewEvent, type TakenMessage } from './event-outbox.js';
import { MessageStatuses } from './message-statuses.js';

export interface FollowerModuleOptions {
  /** How often to look for new events, in milliseconds. Default 500. 0: only on `runOnce()`. */
  intervalMilliseconds?: number;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } =
  new ConfigurableModuleBuilder<FollowerModuleOptions>().setClassMethodName('forRoot').build();

/** What is new in the log. */
export interface News {
  /** New events, each of them once. */
  readonly events: readonly NewEvent[];
  /** The messages of these events, and those to look at again. */
  readonly messages: readonly TakenMessage[];
  readonly messageSids: readonly string[];
}

/** What follows from news. */
export interface Followed {
  readonly afterCommit?: () => void;
  /** Messages to look at again, because their application could not take a row now. */
  readonly again?: readonly MessageAgain[];
}

/** Something that follows from new events. */
export interface LogConsumer {
  /**
   * Works in the transaction that takes the news. If it fails, everything is tried again.
   */
  follow(manager: EntityManager, news: News): Promise<Followed | undefined>;
}

/**
 * The one place that asks "what is new in the log?". It asks soon after the commit of an event, so that the work does
 * not delay callbacks. Replicas share it.
 */
@Injectable()
export class Follower extends PeriodicWork {
  private readonly consumers: LogConsumer[] = [];

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly outbox: EventOutbox,
    private readonly statuses: MessageStatuses,
    private readonly counts: EventCounts,
    @Inject(MODULE_OPTIONS_TOKEN) { intervalMilliseconds = 500 }: FollowerModuleOptions,
  ) {
    super({ intervalMilliseconds, failure: 'New events cannot be followed now' });
  }

  /** Call it before the application starts. */
  register(consumer: LogConsumer): void {
    this.consumers.push(consumer);
  }

  /** Follows everything that is due. @throws if the database is unreachable. */
  async runOnce(): Promise<void> {
    let more = await this.outbox.isDue();
    while (more && !this.signal.aborted) more = await this.followNext();
  }

  /** @returns whether more may be due. */
  async followNext(): Promise<boolean> {
    const followed: (Followed | undefined)[] = [];
    const more = await this.dataSource.transaction(async (manager) => {
      const { messages, events, more } = await this.outbox.take(manager);
      if (messages.length === 0) return false;
      const news = { events, messages, messageSids: messages.map(({ messageSid }) => messageSid) };
      for (const consumer of this.consumers) followed.push(await consumer.follow(manager, news));
      // The statuses come last, since a consumer may add the row.
      const again = [
        ...(await this.statuses.follow(manager, messages)),
        ...followed.flatMap((result) => result?.again ?? []),
      ];
      await this.outbox.putBack(manager, again);
      // The rows of the current day are the same for all replicas, so they are locked last.
      await this.counts.add(manager, events);
      return more;
    });
    for (const result of followed) result?.afterCommit?.();
    return more;
  }
}
