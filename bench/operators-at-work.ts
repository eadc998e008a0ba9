import { setTimeout as delay } from 'node:timers/promises';
import { storedMessageSidOf, storedNumberOf } from './large-table.js';

/** Useless outside of this bench. */
export const OPERATORS_KEY = 'key-of-the-bench-for-operators';

/** An operator's calls over HTTP, with the latency of each answer. */
export class OperatorsApi {
  /** Milliseconds until each answer was complete. */
  readonly latencies: number[] = [];

  constructor(
    private readonly port: number,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Waits for the answer even if the signal is aborted meanwhile, so that slow answers are not missing.
   * @param body of a POST; without it, it is a GET.
   * @throws if the answer is an error.
   */
  async ask(path: string, body?: object): Promise<void> {
    const startedAt = performance.now();
    const response = await this.#request(path, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${text}`);
    this.latencies.push(performance.now() - startedAt);
  }

  /** Listens to a stream until the signal is aborted. */
  async follow(path: string): Promise<never> {
    const { body } = await this.#request(path, { signal: this.signal });
    await body?.pipeTo(new WritableStream());
    throw new Error(`The stream of ${path} has ended`);
  }

  #request(path: string, options: RequestInit): Promise<Response> {
    const headers = { authorization: `Bearer ${OPERATORS_KEY}`, 'content-type': 'application/json' };
    return fetch(`http://127.0.0.1:${this.port}${path}`, { ...options, headers });
  }
}

const HOUR_MILLISECONDS = 3_600_000;

/** An operator's activity until the signal is aborted. */
export type OperatorAtWork = (api: OperatorsApi, signal: AbortSignal) => Promise<void>;

export const nobody: OperatorAtWork = async () => {};

/** The service checks every two seconds for changes to announce to an open page, and here there always are some. */
const LEAST_PAUSE_MILLISECONDS = 2_000;

/**
 * Acts like the page in a browser: it loads at once, and again after each change, which never stops while callbacks
 * stream in. It pauses for ten times as long as it had to wait, like `dashboard/pacer.ts`.
 */
export function pageOpen(days: number, bucket: 'hour' | 'day'): OperatorAtWork {
  return async (api, signal) => {
    await Promise.all([api.follow('/dashboard/events'), loadAgainAndAgain(api, days, bucket, signal)]);
  };
}

async function loadAgainAndAgain(
  api: OperatorsApi,
  days: number,
  bucket: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const startedAt = performance.now();
    const time = `from=${wholeHoursAgo(24 * days)}`;
    await Promise.all([
      api.ask(`/api/v1/stats?${time}&bucket=${bucket}`),
      api.ask('/api/v1/queue'),
      api.ask('/api/v1/fallbacks?overdue=true&limit=10'),
      api.ask(`/api/v1/fallbacks?state=failed&${time}&limit=10`),
      api.ask(`/api/v1/fallbacks?state=skipped&${time}&limit=10`),
      api.ask(`/api/v1/fallbacks?undelivered=true&${time}&limit=10`),
    ]);
    const pause = Math.max(LEAST_PAUSE_MILLISECONDS, 10 * (performance.now() - startedAt));
    await delay(pause, undefined, { signal });
  }
}

/** Acts like a person or a program that makes a different call each second. */
export function callEachSecond(rows: number): OperatorAtWork {
  let number = 0;
  return async (api, signal) => {
    for (;;) {
      const call = CALLS[number % CALLS.length];
      const row = (number * 7_919_173) % rows;
      number += 1;
      const startedAt = performance.now();
      await call?.(api, row);
      await delay(Math.max(0, startedAt + 1_000 - performance.now()), undefined, { signal });
    }
  };
}

/** @param row a row of the large table. */
type Call = (api: OperatorsApi, row: number) => Promise<void>;

const CALLS: readonly Call[] = [
  (api) => api.ask('/api/v1/message-events'),
  (api) => api.ask('/api/v1/message-events?channel=whatsapp&status=failed'),
  (api) => api.ask('/api/v1/message-events?errorCode=63049'),
  (api, row) => api.ask('/api/v1/message-events/search', { number: storedNumberOf(row) }),
  (api, row) => api.ask(`/api/v1/messages/${storedMessageSidOf(row)}`),
  (api) => api.ask('/api/v1/fallbacks'),
  (api) => api.ask('/api/v1/fallbacks?state=failed'),
  (api) => api.ask(`/api/v1/fallbacks?undelivered=true&from=${wholeHoursAgo(24)}`),
  (api) => api.ask('/api/v1/queue'),
  (api) => api.ask(`/api/v1/stats?from=${wholeHoursAgo(24)}&bucket=hour`),
  (api) => api.ask(`/api/v1/stats?from=${wholeHoursAgo(5)}&bucket=minute`),
  (api) => api.ask(`/api/v1/stats?from=${wholeHoursAgo(13 * 24)}&bucket=hour`),
  (api) => api.ask('/api/v1/rejected-callbacks'),
  (api) => api.ask('/metrics'),
];

function wholeHoursAgo(hours: number): string {
  const now = Math.floor(Date.now() / HOUR_MILLISECONDS);
  return new Date((now - hours) * HOUR_MILLISECONDS).toISOString();
}
