import { Logger } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

const WINDOW_SECONDS = 60;

export interface RefusalsOptions {
  /** Of one address within a minute; what is over it is not looked at and not logged. Default 10. */
  readonly limitPerMinute?: number;
  /** What the log says, once, when an address is over the limit. */
  readonly message: string;
}

/** Counts requests that were refused by their address: guessing is slow, and a flood of them does not flood the log. */
export class Refusals {
  private readonly logger = new Logger(Refusals.name);
  private readonly limiter: RateLimiterMemory;

  constructor(private readonly options: RefusalsOptions) {
    this.limiter = new RateLimiterMemory({ points: options.limitPerMinute ?? 10, duration: WINDOW_SECONDS });
  }

  /** @returns null while the address is within its limit, then the seconds after which it may try again. */
  async count(address: string): Promise<number | null> {
    try {
      await this.limiter.consume(address);
      return null;
    } catch (limit) {
      if (!(limit instanceof RateLimiterRes)) throw limit;
      if (limit.consumedPoints === this.limiter.points + 1) {
        this.logger.warn(this.options.message, { ip: address });
      }
      return Math.max(1, Math.ceil(limit.msBeforeNext / 1000));
    }
  }
}
