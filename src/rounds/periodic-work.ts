import {
  type BeforeApplicationShutdown,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';

export interface PeriodicWorkOptions {
  /** From the end of a round to the begin of the next. 0: no round begins of its own accord. */
  readonly intervalMilliseconds: number;
  /** What the log says while rounds fail; once as a warning, until one succeeds again. */
  readonly failure: string;
}

/**
 * A provider whose work comes again and again, from the start of the application until its stop. A round that fails costs
 * nothing but its turn.
 */
export abstract class PeriodicWork
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown
{
  protected readonly logger = new Logger(this.constructor.name);
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private isFailing = false;

  constructor(private readonly options: PeriodicWorkOptions) {}

  /** One round. */
  abstract runOnce(): Promise<void>;

  /** Aborted once the application is to stop, for the round under way to end early. */
  protected get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** The first round begins at once. */
  onApplicationBootstrap(): void {
    if (this.options.intervalMilliseconds > 0) this.running = this.runUntilStopped();
  }

  /** Begins no other round. */
  onModuleDestroy(): void {
    this.stopping.abort();
  }

  /** Resolves when the round that was under way at the stop has ended: before the database is closed. */
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
