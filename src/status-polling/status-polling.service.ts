import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { Follower, type LogConsumer, type News } from '../follower/follower.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { PeriodicWork } from '../process/periodic-work.js';
import {
  MessagePollsStore,
  MODULE_OPTIONS_TOKEN,
  type StatusPollingModuleOptions,
} from './message-polls.store.js';
import { StatusPoller } from './status-poller.js';

/** Any replica repeats a poll that is not answered within this time, after the message's next gap. */
const SHUTDOWN_LIMIT_MILLISECONDS = 2_000;

/**
 * The pause as a multiple of the time that a step through `messages` takes. During a campaign there are tens of
 * thousands of rows to read at once; without a pause, callbacks would wait.
 */
const PAUSE_PER_STEP = 4;

/** Closes the gap that lost callbacks leave: Twilio is asked about messages without a final status. */
@Injectable()
export class StatusPollingService extends PeriodicWork implements LogConsumer, OnModuleInit {
  private readonly isEnabled: boolean;
  private knowsThatMessagesAreNotIndexed = false;

  constructor(
    private readonly store: MessagePollsStore,
    private readonly poller: StatusPoller,
    private readonly messageEvents: MessageEventsService,
    private readonly follower: Follower,
    @Inject(MODULE_OPTIONS_TOKEN)
    { intervalMilliseconds = 15_000, isEnabled = true }: StatusPollingModuleOptions,
  ) {
    super({
      intervalMilliseconds: isEnabled ? intervalMilliseconds : 0,
      failure: 'Statuses cannot be asked for now',
    });
    this.isEnabled = isEnabled;
  }

  onModuleInit(): void {
    if (this.isEnabled) this.follower.register(this);
  }

  async follow(manager: EntityManager, { events }: News): Promise<undefined> {
    await this.store.follow(manager, events);
  }

  override async beforeApplicationShutdown(): Promise<void> {
    await Promise.race([
      super.beforeApplicationShutdown(),
      delay(SHUTDOWN_LIMIT_MILLISECONDS, undefined, { ref: false }),
    ]);
  }

  /**
   * Runs one round: reads the rows of `messages` since the last round on any replica, and asks Twilio about every due
   * message, in batches. Before each batch, it reads the rows that have arrived meanwhile, so that a slow Twilio does
   * not delay them.
   * @throws if the database is unreachable.
   */
  async runOnce(): Promise<void> {
    let worthAsking = true;
    while (worthAsking && !this.signal.aborted) {
      await this.enrol();
      worthAsking = await this.poller.pollDue(this.signal);
    }
  }

  private async enrol(): Promise<void> {
    const { signal } = this;
    while (this.store.hasMessages && !signal.aborted) {
      const begin = performance.now();
      if (!(await this.enrolFromMessages())) return;
      const pause = (performance.now() - begin) * PAUSE_PER_STEP;
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns whether there may be more rows. */
  private async enrolFromMessages(): Promise<boolean> {
    if (await this.store.areMessagesIndexed()) {
      return this.store.enrolFromMessages((behind, manager) =>
        this.messageEvents.followAgain(behind, manager),
      );
    }
    if (!this.knowsThatMessagesAreNotIndexed) {
      this.logger.warn(
        'messages has no index on a created_at with a time zone: a message without any callback is not asked about',
      );
      this.knowsThatMessagesAreNotIndexed = true;
    }
    return false;
  }
}
