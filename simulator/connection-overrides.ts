/**
 * Why a callback failed: an HTTP status of that hundred, `ct` (no TCP or TLS connection) or `rt` (a connection,
 * but no answer).
 */
export type CallbackFailure = '4xx' | '5xx' | 'ct' | 'rt';

/**
 * The retry settings of a callback from the fragment of its URL, e.g. `#rc=5&rp=all`. Names, limits and defaults:
 * https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
 */
export interface ConnectionOverrides {
  /** `rc`: tries after the first one, 0 to 5; default 1. */
  readonly retryCount: number;
  /** `rp`: the failures to retry, comma-separated names or `all`; default `ct` only. */
  readonly retryPolicy: readonly CallbackFailure[];
  /** `ct`, milliseconds; default 5000. */
  readonly connectTimeoutMilliseconds: number;
  /** `rt`, milliseconds; default 15000. */
  readonly readTimeoutMilliseconds: number;
  /** `tt`, milliseconds for everything, retries included; default 15000, which is also the maximum. */
  readonly totalTimeoutMilliseconds: number;
}

const failures: readonly CallbackFailure[] = ['4xx', '5xx', 'ct', 'rt'];

export function parseConnectionOverrides(url: string): ConnectionOverrides {
  const hash = url.indexOf('#');
  const fragment = new URLSearchParams(hash === -1 ? '' : url.slice(hash + 1));
  const policy = (fragment.get('rp') ?? 'ct').split(',');
  return {
    retryCount: limited(fragment.get('rc'), 0, 5, 1),
    retryPolicy: policy.includes('all') ? failures : failures.filter((failure) => policy.includes(failure)),
    connectTimeoutMilliseconds: limited(fragment.get('ct'), 100, 10_000, 5000),
    readTimeoutMilliseconds: limited(fragment.get('rt'), 100, 15_000, 15_000),
    totalTimeoutMilliseconds: limited(fragment.get('tt'), 100, 15_000, 15_000),
  };
}

/** Returns the URL that is requested and signed, both without the fragment. */
export function withoutFragment(url: string): string {
  const hash = url.indexOf('#');
  return hash === -1 ? url : url.slice(0, hash);
}

function limited(text: string | null, least: number, most: number, otherwise: number): number {
  const value = text === null || text === '' ? NaN : Number(text);
  return Number.isInteger(value) ? Math.min(Math.max(value, least), most) : otherwise;
}
