import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { PeriodicWork } from '../rounds/periodic-work.js';
import { type Enrolment, MessagePollsStore } from './message-polls.store.js';
import { StatusPoller } from './status-poller.js';
import { MODULE_OPTIONS_TOKEN, type StatusPollingModuleOptions } from './status-polling.module-definition.js';

/** Any replica repeats a poll that is not answered within this time, after the message's next gap. */
const SHUTDOWN_LIMIT_MILLISECONDS = 2_000;

/**
 * The pause as a multiple of the time that a step through the events takes. During a campaign there are tens of
 * thousands of events to read at once; without a pause, callbacks would wait.
 */
const PAUSE_PER_STEP = 4;

/** Closes the gap that lost callbacks leave: Twilio is asked about messages without a final status. */
@Injectable()
export class StatusPollingService extends PeriodicWork {
  private knowsThatMessagesAreNotIndexed = false;

  constructor(
    private readonly store: MessagePollsStore,
    private readonly poller: StatusPoller,
    private readonly messageEvents: MessageEventsService,
    @Inject(MODULE_OPTIONS_TOKEN) { intervalMilliseconds = 15_000 }: StatusPollingModuleOptions,
  ) {
    super({ intervalMilliseconds, failure: 'Statuses cannot be asked for now' });
  }

  override async beforeApplicationShutdown(): Promise<void> {
    await Promise.race([
      super.beforeApplicationShutdown(),
      delay(SHUTDOWN_LIMIT_MILLISECONDS, undefined, { ref: false }),
    ]);
  }

  /**
   * Runs one round: reads everything since the last round on any replica, and asks Twilio about every due message, in
   * batches. Before each batch it reads what has arrived meanwhile, so that a slow Twilio does not delay that.
   * @throws when the database is unreachable.
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
    while (!signal.aborted) {
      const begin = performance.now();
      const moreEvents = await this.enrolFromEvents();
      const moreMessages = await this.enrolFromMessages();
      if (!moreEvents && !moreMessages) return;
      const pause = (performance.now() - begin) * PAUSE_PER_STEP;
      await delay(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  private async enrolFromEvents(): Promise<boolean> {
    return this.link(await this.store.enrolFromEvents());
  }

  private async enrolFromMessages(): Promise<boolean> {
    if (await this.store.areMessagesIndexed()) return this.link(await this.store.enrolFromMessages());
    if (!this.knowsThatMessagesAreNotIndexed) {
      this.logger.warn(
        'messages has no index on a created_at with a time zone: a message without any callback is not asked about',
      );
      this.knowsThatMessagesAreNotIndexed = true;
    }
    return false;
  }

  /**
   * Links events to messages that the application stored after their last callback, since nothing else looks for those.
   */
  private async link({ unlinked, more }: Enrolment): Promise<boolean> {
    await Promise.all(unlinked.map((messageSid) => this.messageEvents.linkMessage(messageSid)));
    return more;
  }
}
