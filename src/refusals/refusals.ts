import { Logger } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { networkOf } from './network-of.js';

const WINDOW_SECONDS = 60;

export interface RefusalsOptions {
  /** Of one address within a minute; what is over it is not looked at and not logged. Default 10. */
  readonly limitPerMinute?: number;
  /** How many networks are counted apart within a minute, to bound the memory; the others share one count. Default 10,000. */
  readonly maximumNetworks?: number;
  /** What the log says, once, when an address is over the limit. */
  readonly message: string;
}

/**
 * Counts requests that were refused by their address, in the memory of this process: a flood of them does not flood the
 * log, and a client that can read learns when to come again. It is no lock: whoever has what is right is let in.
 */
export class Refusals {
  private readonly logger = new Logger(Refusals.name);
  private readonly limiter: RateLimiterMemory;
  private readonly countedApart = new Set<string>();
  private minuteEndsAt = 0;

  constructor(private readonly options: RefusalsOptions) {
    this.limiter = new RateLimiterMemory({ points: options.limitPerMinute ?? 10, duration: WINDOW_SECONDS });
  }

  /** @returns null while the address is within its limit, then the seconds after which it may try again. */
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
