import { Logger } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { networkOf } from './network-of.js';

const WINDOW_SECONDS = 60;

export interface RefusalsOptions {
  /** Refusals per address and minute; more are not logged. Default 10. */
  readonly limitPerMinute?: number;
  /**
   * How many networks are counted separately per minute, to bound memory; the others share one count. Default 10,000.
   */
  readonly maximumNetworks?: number;
  /** The log message, written once when an address exceeds the limit. */
  readonly message: string;
}

/**
 * Rate-limits answers and log lines for rejected requests, by address and per process. A client learns when to try
 * again. Valid credentials are never blocked.
 */
export class Refusals {
  private readonly logger = new Logger(Refusals.name);
  private readonly limiter: RateLimiterMemory;
  private readonly countedApart = new Set<string>();
  private minuteEndsAt = 0;

  constructor(private readonly options: RefusalsOptions) {
    this.limiter = new RateLimiterMemory({ points: options.limitPerMinute ?? 10, duration: WINDOW_SECONDS });
  }

  /** @returns null while the address is within its limit, then the seconds until it may try again. */
  async count(address: string): Promise<number | null> {
    try {
      await this.limiter.consume(this.keyOf(networkOf(address)));
      return null;
    } catch (limit) {
      if (!(limit instanceof RateLimiterRes)) throw limit;
      if (limit.consumedPoints === this.limiter.points + 1) {
        this.logger.warn(this.options.message, { ip: address });
      }
      return Math.max(1, Math.ceil(limit.msBeforeNext / 1000));
    }
  }

  private keyOf(network: string): string {
    const now = Date.now();
    if (now >= this.minuteEndsAt) {
      this.countedApart.clear();
      this.minuteEndsAt = now + WINDOW_SECONDS * 1000;
    }
    const { maximumNetworks = 10_000 } = this.options;
    if (!this.countedApart.has(network) && this.countedApart.size >= maximumNetworks) return 'others';
    this.countedApart.add(network);
    return network;
  }
}
