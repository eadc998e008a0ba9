import type * as GraphileWorker from 'graphile-worker';
import type { Runner } from 'graphile-worker';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { type Notification, Pool, type PoolClient, type PoolConfig } from 'pg';
import { JOB_QUEUE_SCHEMA } from './domain-events.js';

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

type Release = (error?: Error | boolean) => void;

/** There is nothing to release where there is an error. */
type Connected = (error: Error | undefined, client: PoolClient | undefined, release?: Release) => void;

/** The connections of graphile-worker. One that breaks is replaced, and never ends the process. */
export class JobQueuePool extends Pool {
  constructor(connection: PoolConfig) {
    super({ connectionTimeoutMillis: 4_000, ...connection });
    // Without a listener the error of a connection that breaks would be thrown. graphile-worker leaves it to whoever has
    // made the pool: https://github.com/graphile/worker/pull/510
    this.on('error', ignore);
    this.on('connect', (client) => {
      client.on('error', ignore);
      client.on('notification', disguiseMigration);
    });
  }

  /**
   * graphile-worker 0.17.3 releases a connection twice that breaks before its LISTEN is answered. The pool throws then, and
   * the rejection, which nobody handles, would end the process.
   */
  override connect(): Promise<PoolClient>;
  override connect(connected: Connected): void;
  override connect(connected?: Connected): Promise<PoolClient> | undefined {
    if (connected === undefined) return super.connect();
    super.connect((error, client, release?: Release) => {
      let released = false;
      connected(error, client, (problem) => {
        if (released) return;
        released = true;
        release?.(problem);
      });
    });
    return undefined;
  }
}

/**
 * graphile-worker ends when it hears of a migration, and the name of the channel has no schema: it would end because the
 * graphile-worker of an application in the same database was updated. This listener is the first one.
 * https://github.com/graphile/worker/pull/361
 */
function disguiseMigration(message: Notification): void {
  if (message.channel === 'worker:migrate') message.channel = 'another queue was migrated';
}

function ignore(): void {
  // The query that was under way fails, and tells whoever asked.
}

/**
 * Frees the jobs of workers that hold one for longer than any living worker does.
 * @param limit in milliseconds.
 * @returns how many workers had died.
 */
export async function freeAbandonedJobs(pool: Pool, limit: number): Promise<number> {
  const { rows } = await pool.query<{ workers: number }>(
    `with dead as (
       select array_agg(distinct locked_by) as workers from ${JOB_QUEUE_SCHEMA}.jobs
        where locked_at < now() - $1 * interval '1 millisecond'
     )
     select cardinality(workers) as workers from dead, ${JOB_QUEUE_SCHEMA}.force_unlock_workers(dead.workers)
      where workers is not null`,
    [limit],
  );
  return rows[0]?.workers ?? 0;
}

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
