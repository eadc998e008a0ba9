import type * as GraphileWorker from 'graphile-worker';
import { createRequire } from 'node:module';
import type { PoolClient } from 'pg';
import { JOB_QUEUE_SCHEMA } from './domain-event-job.js';

/** graphile-worker, and nothing that it would take from the folder or the environment of the process. */
export const { Logger: JobQueueLogger, run, runMigrations } = loadWithoutConfiguration();

/** What all of its functions are given: what is set here is not looked for elsewhere. */
export const jobQueueOptions = {
  schema: JOB_QUEUE_SCHEMA,
  preset: {
    plugins: [
      {
        name: 'WhatsappSmsFallbackQueuePlugin',
        worker: {
          hooks: {
            premigrate(_context, event) {
              event.client = withoutMigrationNotices(event.client);
            },
          },
        },
      },
    ],
    /**
     * Without a batch graphile-worker 0.17.3 does not wait for what it writes when a job has ended: a shutdown would lose
     * it, and its failure would be an unhandled rejection. A batch whose write fails ends the workers, which are started
     * again then: https://github.com/graphile/worker/issues/636
     */
    worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  },
} satisfies GraphileWorker.SharedOptions;

/**
 * When it is loaded, graphile-worker 0.17.3 searches the working directory and those above it for a configuration, and
 * runs it if it is JavaScript (src/config.ts). Here it searches the root only.
 */
function loadWithoutConfiguration(): typeof GraphileWorker {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is put back as it was
  const { cwd } = process;
  process.cwd = () => '/';
  try {
    return createRequire(import.meta.url)('graphile-worker') as typeof GraphileWorker;
  } finally {
    process.cwd = cwd;
  }
}

/**
 * graphile-worker announces its migrations to the whole database, without the schema: the workers of an application that
 * has its own schema would shut down (src/migrate.ts and src/main.ts of 0.16 and 0.17):
 * https://github.com/graphile/worker/pull/361
 */
function withoutMigrationNotices(client: PoolClient): PoolClient {
  const query = (...parameters: unknown[]): unknown => {
    const isNotice = parameters[0] === 'select pg_notify($1, $2)';
    return isNotice ? Promise.resolve() : (client.query as Query).apply(client, parameters);
  };
  return new Proxy(client, {
    get: (target, name) => (name === 'query' ? query : (Reflect.get(target, name) as unknown)),
  });
}

type Query = (...parameters: unknown[]) => unknown;
