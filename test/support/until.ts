import { setTimeout as delay } from 'node:timers/promises';

const POLL_MILLISECONDS = 10;

/**
 * Waits for a condition: resolves with the first value of `look` that is neither false, null, nor undefined.
 * @param limit the milliseconds after which the wait fails; a bound for a hang, not a measurement.
 */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | false | null | undefined> | Value | false | null | undefined,
  limit = 40_000,
): Promise<Value> {
  const end = Date.now() + limit;
  for (;;) {
    const value = await look();
    if (value !== false && value !== null && value !== undefined) return value;
    if (Date.now() > end) throw new Error(`Waited ${limit} ms in vain for: ${what}`);
    await delay(POLL_MILLISECONDS);
  }
}
