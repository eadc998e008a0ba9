import type { Runner } from 'graphile-worker';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Resolves when the runner has ended. It is given up when it takes too long over it: graphile-worker 0.17.3 counts its
 * unfinished writes wrong where several fail, e.g. because the database went away, and then waits for them for ever. 0.16.6
 * had another way there: https://github.com/graphile/worker/issues/592
 * @param limit how long it may take from when it begins to end, in milliseconds; asked for at that time.
 * @throws what the runner has ended with, or that it was given up.
 */
export async function endOfRunner(runner: Runner, limit: () => number): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  const stuck = once(runner.events, 'pool:gracefulShutdown', { signal }).then(async () => {
    await delay(limit(), undefined, { signal, ref: false });
    // For what it has besides its workers.
    runner.stop().catch(() => undefined);
    throw new Error('graphile-worker did not end in time');
  });
  try {
    await Promise.race([runner.promise, stuck]);
  } finally {
    ended.abort();
    stuck.catch(() => undefined);
  }
}
