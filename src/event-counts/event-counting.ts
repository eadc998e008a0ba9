import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { Rounds } from '../rounds/rounds.js';
import { type EventCountsModuleOptions, MODULE_OPTIONS_TOKEN } from './event-counts.module-definition.js';
import { EventCountsStore } from './event-counts.store.js';

/** Counts the events that have come since the last round, so that nothing is counted in a callback's way. */
@Injectable()
export class EventCounting implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown {
  private readonly logger = new Logger(EventCounting.name);
  private readonly intervalMilliseconds: number;
  private readonly rounds: Rounds;

  constructor(
    private readonly store: EventCountsStore,
    @Inject(MODULE_OPTIONS_TOKEN) options: EventCountsModuleOptions,
  ) {
    this.intervalMilliseconds = options.intervalMilliseconds ?? 15_000;
    this.rounds = new Rounds((signal) => this.runOnce(signal), {
      intervalMilliseconds: this.intervalMilliseconds,
      logger: this.logger,
      failure: 'Events cannot be counted now',
    });
  }

  onApplicationBootstrap(): void {
    if (this.intervalMilliseconds > 0) this.rounds.start();
  }

  onModuleDestroy(): void {
    this.rounds.stop();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.rounds.stopped();
  }

  /** Replicas may do so at the same time: one of them counts. @throws when the database is away. */
  async runOnce(signal?: AbortSignal): Promise<void> {
    while (await this.store.countNext()) {
      if (signal?.aborted === true) return;
    }
  }
}
