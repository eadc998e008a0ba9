import type * as GraphileWorker from 'graphile-worker';
import type { Runner } from 'graphile-worker';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { type Notification, Pool, type PoolClient, type PoolConfig } from 'pg';
import { JOB_QUEUE_SCHEMA } from './domain-events.js';

/** graphile-worker, loaded without a configuration from the working directory or the environment. */
export const { Logger: JobQueueLogger, run, runMigrations } = loadWithoutConfiguration();

/** Options for all its functions. What is set here is not read from elsewhere. */
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
     * Without a batch, graphile-worker 0.17.3 does not wait for its write after a job: a shutdown would lose the write,
     * and its failure would be an unhandled rejection. If a batch cannot be written, the workers end and are restarted:
     * https://github.com/graphile/worker/issues/636
     */
    worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  },
} satisfies GraphileWorker.SharedOptions;

/**
 * Loads graphile-worker while the working directory is the root. On import, version 0.17.3 searches the working
 * directory and its parents for a configuration, and runs it if it is JavaScript (src/config.ts).
 */
function loadWithoutConfiguration(): typeof GraphileWorker {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- restored below
  const { cwd } = process;
  process.cwd = () => '/';
  try {
    return createRequire(import.meta.url)('graphile-worker') as typeof GraphileWorker;
  } finally {
    process.cwd = cwd;
  }
}

/**
 * Keeps graphile-worker from announcing its migrations. The notice names no schema, so the workers of an application
 * with another schema in the same database would shut down (src/migrate.ts and src/main.ts of 0.16 and 0.17):
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

/** Takes an error, or a client and how to release it. */
type Connected = (error: Error | undefined, client: PoolClient | undefined, release?: Release) => void;

/** The connections of graphile-worker. A broken one is replaced and never ends the process. */
export class JobQueuePool extends Pool {
  constructor(connection: PoolConfig) {
    super({ connectionTimeoutMillis: 4_000, ...connection });
    // Without a listener, the error of a broken connection would be thrown. graphile-worker leaves this to the pool's
    // owner: https://github.com/graphile/worker/pull/510
    this.on('error', ignore);
    this.on('connect', (client) => {
      client.on('error', ignore);
      client.on('notification', disguiseMigration);
    });
  }

  /**
   * Ignores a second release. graphile-worker 0.17.3 releases a connection twice if it breaks before its LISTEN is
   * answered; the pool would throw, and the unhandled rejection would end the process.
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
 * Hides the migrations of other schemas. graphile-worker ends when it is notified of one, and the channel's name has no
 * schema, so an update of the application's own graphile-worker would end this one. This listener runs first.
 * https://github.com/graphile/worker/pull/361
 */
function disguiseMigration(message: Notification): void {
  if (message.channel === 'worker:migrate') message.channel = 'another queue was migrated';
}

function ignore(): void {
  // The running query fails, and its caller handles that.
}

/**
 * Frees the jobs of workers that have held one for longer than any living worker does.
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
 * Resolves when the runner has ended, and gives it up if that takes too long. If several writes fail, e.g. because the
 * database went away, graphile-worker 0.17.3 miscounts its unfinished writes and waits for them forever. 0.16.6 could
 * hang too: https://github.com/graphile/worker/issues/592
 * @param limit called when it begins to end; returns how long that may take, in milliseconds.
 * @throws the error that the runner ended with, or an error after the limit.
 */
export async function endOfRunner(runner: Runner, limit: () => number): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  const stuck = once(runner.events, 'pool:gracefulShutdown', { signal }).then(async () => {
    await delay(limit(), undefined, { signal, ref: false });
    // Ends what it has besides its workers.
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
