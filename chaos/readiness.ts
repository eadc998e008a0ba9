import { setTimeout as delay } from 'node:timers/promises';
import type { Replica } from './replica.js';

const LIMIT_MILLISECONDS = 60_000;

/** @throws an error naming the replicas that are not ready within a minute, or the reason of `interrupted`. */
export async function untilReady(replicas: readonly Replica[], interrupted: AbortSignal): Promise<void> {
  const end = Date.now() + LIMIT_MILLISECONDS;
  for (;;) {
    const ready = await Promise.all(replicas.map((replica) => replica.isReady()));
    if (ready.every(Boolean)) return;
    if (Date.now() > end) {
      const unready = replicas.filter((_, index) => ready[index] !== true).map(({ name }) => name);
      throw new Error(`Not ready within a minute: replica ${unready.join(' and ')}`);
    }
    await delay(200, undefined, { signal: interrupted });
  }
}

/** Whether a GET of this URL is answered with 2xx within two seconds. */
export async function isOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
