import { Inject, Injectable } from '@nestjs/common';
import { PeriodicWork } from '../rounds/periodic-work.js';
import { type EventCountsModuleOptions, MODULE_OPTIONS_TOKEN } from './event-counts.module-definition.js';
import { EventCountsStore } from './event-counts.store.js';

/** Counts new events in rounds, so that counting never delays a callback. */
@Injectable()
export class EventCounting extends PeriodicWork {
  constructor(
    private readonly store: EventCountsStore,
    @Inject(MODULE_OPTIONS_TOKEN) { intervalMilliseconds = 5_000 }: EventCountsModuleOptions,
  ) {
    super({ intervalMilliseconds, failure: 'Events cannot be counted now' });
  }

  /**
   * Runs one round. Replicas may do so at the same time: one of them counts. @throws when the database is unreachable.
   */
  async runOnce(): Promise<void> {
    try {
      while (!this.signal.aborted && (await this.store.countNext(this.signal)));
    } catch (error) {
      // It was cancelled: the next round, on any replica, counts from the same position.
      if (!this.signal.aborted) throw error;
    }
  }
}
