import type { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';

export interface RoundsOptions {
  /** From the end of a round to the begin of the next. */
  readonly intervalMilliseconds: number;
  readonly logger: Logger;
  /** What the log says while rounds fail; once as a warning, until one succeeds again. */
  readonly failure: string;
}

/** Work that comes again and again. A round that fails costs nothing but its turn. */
export class Rounds {
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private isFailing = false;

  constructor(
    private readonly round: (signal: AbortSignal) => Promise<void>,
    private readonly options: RoundsOptions,
  ) {}

  /** Aborted once the rounds are to stop, for the work under way to end early. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** The first round begins at once. */
  start(): void {
    this.running = this.runUntilStopped();
  }

  /** Begins no other round. */
  stop(): void {
    this.stopping.abort();
  }

  /** Resolves when the round that was under way at the stop has ended. */
  async stopped(): Promise<void> {
    await this.running;
  }

  private async runUntilStopped(): Promise<void> {
    const { intervalMilliseconds } = this.options;
    while (!this.signal.aborted) {
      await this.runOnce();
      await delay(intervalMilliseconds, undefined, { signal: this.signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  private async runOnce(): Promise<void> {
    const { logger, failure } = this.options;
    try {
      await this.round(this.signal);
      this.isFailing = false;
    } catch (error) {
      logger[this.isFailing ? 'debug' : 'warn'](failure, { error: String(error) });
      this.isFailing = true;
    }
  }
}
