import type { Fallback, Newest, Queue, Retry, Statistics } from './answers.js';
import { ask, explain } from './api.js';
import { beginOf, DEFAULT_RANGE, type Range } from './ranges.js';
import { serviceClock } from './service-clock.js';

/** Fallbacks per group; the API lists the rest. */
const SHOWN = 10;

const FALLBACKS = 'api/v1/fallbacks';

export interface Loaded {
  readonly range: Range;
  /** When the service answered, by its clock, in milliseconds since 1970. */
  readonly answeredAt: number;
  readonly statistics: Statistics;
  readonly queue: Queue;
  readonly overdue: Newest<Fallback>;
  readonly failed: Newest<Fallback>;
  readonly skipped: Newest<Fallback>;
  readonly undelivered: Newest<Fallback>;
}

/** Loads what the service did in the chosen time range. */
export class Overview {
  range = DEFAULT_RANGE;
  /** The latest answer; null before the first. */
  loaded: Loaded | null = null;
  problem: string | null = null;
  /** The results of retries in words, by the SID of the original message, newest last. */
  readonly retried = new Map<string, string>();
  /** The ids of fallbacks whose retry was refused because of their age. */
  readonly tooLate = new Set<string>();

  constructor(private readonly changed: () => void) {}

  /** A missing answer does not reject. Nothing changes after an abort. */
  async load(signal: AbortSignal): Promise<void> {
    const { range } = this;
    try {
      this.loaded = await load(range, signal);
      this.problem = null;
    } catch (error) {
      if (signal.aborted) return;
      this.problem = explain(error);
    }
    this.changed();
  }

  /** @returns the result in words. */
  async retry({ id, originalMessageSid }: Fallback, ignoreAge: boolean): Promise<string> {
    const path = `${FALLBACKS}/${id}/retry${ignoreAge ? '?ignoreAge=true' : ''}`;
    const outcome = await ask<Retry>(path, { method: 'POST' }).then(
      ({ decision, meaning }) => {
        if (decision === 'too_late') this.tooLate.add(id);
        return meaning;
      },
      (error: unknown) => explain(error),
    );
    this.retried.delete(originalMessageSid);
    this.retried.set(originalMessageSid, outcome);
    this.changed();
    return `${originalMessageSid}: ${outcome}`;
  }
}

async function load(range: Range, signal: AbortSignal): Promise<Loaded> {
  // Without `to`, the range ends now.
  const time = `from=${beginOf(range, serviceClock.now()).toISOString()}`;
  const [statistics, queue, overdue, failed, skipped, undelivered] = await Promise.all([
    ask<Statistics>(`api/v1/stats?${time}&bucket=${range.bucket}`, { signal }),
    ask<Queue>('api/v1/queue', { signal }),
    ask<Newest<Fallback>>(`${FALLBACKS}?overdue=true&limit=${SHOWN}`, { signal }),
    ask<Newest<Fallback>>(`${FALLBACKS}?state=failed&${time}&limit=${SHOWN}`, { signal }),
    ask<Newest<Fallback>>(`${FALLBACKS}?state=skipped&${time}&limit=${SHOWN}`, { signal }),
    ask<Newest<Fallback>>(`${FALLBACKS}?undelivered=true&${time}&limit=${SHOWN}`, { signal }),
  ]);
  const answeredAt = serviceClock.now();
  return { range, answeredAt, statistics, queue, overdue, failed, skipped, undelivered };
}
