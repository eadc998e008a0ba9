import { expect, it } from '@jest/globals';
import { EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';
import { awaitReturnedJobs } from '../../src/domain-events/graphile-worker.js';

interface LocalQueue {
  release(): Promise<void>;
}

type NewLocalQueue = new (...parameters: readonly unknown[]) => LocalQueue;

const { LocalQueue } = createRequire(import.meta.url)('graphile-worker/dist/localQueue.js') as {
  LocalQueue: NewLocalQueue;
};

/** Without it, the error is an unhandled rejection, which ends the process: chaos found that. */
it('a worker that ends waits for the jobs that it gives back, and learns that the database is away', async () => {
  let isAway = false;
  const jobs = [
    { id: '1', task_id: 1, identifier: 'task' },
    { id: '2', task_id: 1, identifier: 'task' },
  ];
  const query = () =>
    isAway ? Promise.reject(new Error('the database is away')) : Promise.resolve({ rows: jobs });
  const withClient = (use: (client: { query: typeof query }) => unknown) => use({ query });
  const events = new EventEmitter();
  events.on('localQueue:init', ({ localQueue }: { localQueue: unknown }) => {
    awaitReturnedJobs(localQueue);
  });
  const worker = { localQueue: { ttl: 60_000 }, pollInterval: 60_000, preparedStatements: false };
  const context = {
    ...{ events, logger: { error: () => undefined }, resolvedPreset: { worker } },
    ...{ escapedWorkerSchema: 'queue', workerSchema: 'queue' },
  };
  const fetched = once(events, 'localQueue:getJobs:complete');
  const queue = new LocalQueue(
    context,
    { task: () => undefined },
    Object.assign(withClient, { withRetries: withClient }),
    ...[{ id: 'worker' }, 2, true, () => undefined],
  );
  await fetched;
  await Promise.resolve();
  isAway = true;
  await expect(queue.release()).rejects.toThrow('the database is away');
});
