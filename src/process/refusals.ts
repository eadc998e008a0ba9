import { Logger } from '@nestjs/common';
import { isIPv4, isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/** A proxy may forward any text that fits in a header. */
const NO_ADDRESS = '';

/**
 * Returns the part of an address that its owner cannot change at will: the first half of IPv6, because owners control
 * all of the other half, or all of IPv4.
 */
export function networkOf(text: string): string {
  const address = withoutPort(text);
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const withoutZone = address.replace(/%.*$/, '');
  if (!isIPv6(withoutZone)) return isIPv4(address) ? address : NO_ADDRESS;
  // The host of a URL has one canonical spelling, which omits the longest run of zeros.
  const { hostname } = new URL(`http://[${withoutZone}]`);
  const [begin = [], end] = hostname
    .slice(1, -1)
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = end === undefined ? 0 : 8 - begin.length - end.length;
  const groups = [...begin, ...Array<string>(zeros).fill('0'), ...(end ?? [])];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** Some proxies forward the client's port, which changes with each connection. */
function withoutPort(text: string): string {
  const [, ipv4, ipv6] = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[([^\]]+)\](?::\d+)?)$/.exec(text) ?? [];
  return ipv4 ?? ipv6 ?? text;
}

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
