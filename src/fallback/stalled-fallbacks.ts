import { Inject, Injectable } from '@nestjs/common';
import { PeriodicWork } from '../process/periodic-work.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { FallbackService } from './fallback.service.js';
import { FallbackStore } from './fallback.store.js';

/** Rows in one statement. This bounds its time. */
const BATCH = 100;

/**
 * Resumes fallbacks that nothing else would continue:
 * - those that are open and whose time has passed, because their job has used up its attempts or was removed;
 * - those that failed without an answer, and whose SMS has reported itself since;
 * - those whose SMS was never sent, if the report does not name the fallback, e.g. from a Messaging Service's own
 *   callback.
 */
@Injectable()
export class StalledFallbacks extends PeriodicWork {
  constructor(
    private readonly store: FallbackStore,
    private readonly fallbacks: FallbackService,
    @Inject(MODULE_OPTIONS_TOKEN) options: FallbackModuleOptions,
  ) {
    super({
      intervalMilliseconds: options.intervalMilliseconds ?? 60_000,
      failure: 'Stalled fallbacks cannot be looked for now',
    });
  }

  /** @throws when the database is unreachable. */
  async runOnce(): Promise<void> {
    await this.takeUpAll('open', 'Stalled fallbacks are taken up again');
    await this.takeUpAll('reported', 'Failed fallbacks whose SMS was sent after all are taken up again');
    await this.resendNeverSent();
  }

  private async resendNeverSent(): Promise<void> {
    for (const sms of await this.store.findNeverSent(BATCH)) await this.fallbacks.resend(sms);
  }

  private async takeUpAll(stalled: 'open' | 'reported', message: string): Promise<void> {
    let taken: number;
    do {
      taken = await this.store.takeUp(stalled, BATCH);
      if (taken > 0) this.logger.warn(message, { fallbacks: taken });
    } while (taken === BATCH && !this.signal.aborted);
  }
}
