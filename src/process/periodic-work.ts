import {
  type BeforeApplicationShutdown,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';

export interface PeriodicWorkOptions {
  /** The pause from the end of a round to the start of the next. 0: no rounds. */
  readonly intervalMilliseconds: number;
  /** The log message for failing rounds; a warning the first time, until a round succeeds again. */
  readonly failure: string;
}

/**
 * A provider that repeats its work from the start of the application until it stops. After a failed round, the next one
 * starts as usual.
 */
export abstract class PeriodicWork
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown
{
  protected readonly logger = new Logger(this.constructor.name);
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private isFailing = false;

  constructor(private readonly options: PeriodicWorkOptions) {}

  /** Runs one round. */
  abstract runOnce(): Promise<void>;

  /** Aborts when the application is about to stop, so that the current round ends early. */
  protected get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** Starts the first round at once. */
  onApplicationBootstrap(): void {
    if (this.options.intervalMilliseconds > 0) this.running = this.runUntilStopped();
  }

  /** Starts no further round. */
  onModuleDestroy(): void {
    this.stopping.abort();
  }

  /** Waits for the current round to end, before the database is closed. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.running;
  }

  private async runUntilStopped(): Promise<void> {
    const { signal } = this;
    while (!signal.aborted) {
      await this.runSafely();
      await delay(this.options.intervalMilliseconds, undefined, { signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  private async runSafely(): Promise<void> {
    try {
      await this.runOnce();
      this.isFailing = false;
    } catch (error) {
      this.logger[this.isFailing ? 'debug' : 'warn'](this.options.failure, { error: String(error) });
      this.isFailing = true;
    }
  }
}
