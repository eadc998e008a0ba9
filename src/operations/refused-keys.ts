import { Inject, Injectable, Logger } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { MODULE_OPTIONS_TOKEN, type OperationsModuleOptions } from './operations.module-definition.js';

const WINDOW_SECONDS = 60;

/** Counts requests without a valid key by address: guessing is slow, and does not flood the log. */
@Injectable()
export class RefusedKeys {
  private readonly logger = new Logger(RefusedKeys.name);
  private readonly limiter: RateLimiterMemory;

  constructor(@Inject(MODULE_OPTIONS_TOKEN) { refusalsPerMinute = 10 }: OperationsModuleOptions) {
    this.limiter = new RateLimiterMemory({ points: refusalsPerMinute, duration: WINDOW_SECONDS });
  }

  /** @returns null while the address is within its limit, then the seconds after which it may try again. */
  async count(address: string): Promise<number | null> {
    try {
      await this.limiter.consume(address);
      return null;
    } catch (limit) {
      if (!(limit instanceof RateLimiterRes)) throw limit;
      if (limit.consumedPoints === this.limiter.points + 1) {
        this.logger.warn(
          'Further requests without a valid key from this address are not logged for a minute',
          {
            ip: address,
          },
        );
      }
      return Math.max(1, Math.ceil(limit.msBeforeNext / 1000));
    }
  }
}
