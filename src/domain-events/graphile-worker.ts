import type * as GraphileWorker from 'graphile-worker';
import type { Runner } from 'graphile-worker';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { type Notification, Pool, type PoolClient, type PoolConfig } from 'pg';
import { DOMAIN_EVENT_TASK, JOB_QUEUE_SCHEMA } from './domain-events.js';

/** graphile-worker, loaded without a configuration from the working directory or the environment. */
export const { Logger: JobQueueLogger, run, runMigrations } = loadWithoutConfiguration();

/** How long a fetched job may wait for a free worker, in milliseconds. After that it is given back. */
export const LONGEST_LOCAL_WAIT_MILLISECONDS = 2_000;

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
 * Options for a runner that fetches the jobs of all its workers at once: a fetch for each job took PostgreSQL 0.7 ms.
 * @param concurrency how many jobs it runs at a time.
 */
export function runnerOptions(concurrency: number) {
  const { preset } = jobQueueOptions;
  const localQueue = { size: concurrency, ttl: LONGEST_LOCAL_WAIT_MILLISECONDS };
  return {
    ...jobQueueOptions,
    preset: { ...preset, worker: { ...preset.worker, localQueue } },
    concurrency,
  } satisfies GraphileWorker.RunnerOptions;
}

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

/** Members of graphile-worker's local queue that its types hide. */
interface BackgroundWork {
  backgroundCount: number;
  background: (work: Promise<void>) => void;
  readonly decreaseBackgroundCount: () => void;
  readonly decreaseBackgroundCountWithError: (error: unknown) => void;
}

/**
 * Lets a local queue wait for the jobs that it gives back when it ends. graphile-worker 0.17.3 refuses to
 * (src/localQueue.ts, `background`), and if they cannot be given back, because the database is away, the unhandled
 * rejection ends the process.
 */
export function awaitReturnedJobs(localQueue: unknown): void {
  const queue = localQueue as BackgroundWork;
  queue.background = (work) => {
    queue.backgroundCount += 1;
    work.then(queue.decreaseBackgroundCount, queue.decreaseBackgroundCountWithError);
  };
}

/** Leaves a running job to these listeners when it is retried. */
export async function keepListeners(
  helpers: GraphileWorker.JobHelpers,
  listeners: readonly string[],
): Promise<void> {
  await helpers.query(
    `update ${JOB_QUEUE_SCHEMA}._private_jobs set payload = payload::jsonb || jsonb_build_object('listeners', $2::text[])
      where id = $1`,
    [helpers.job.id, listeners],
  );
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

/** Migrates the queue's schema, and no other. */
export async function migrateJobQueue(pool: Pool, schema: string): Promise<void> {
  const logger = new JobQueueLogger(() => () => undefined);
  await runMigrations({ ...jobQueueOptions, schema, pgPool: pool, noPreparedStatements: true, logger });
}

/**
 * Moves this service's waiting jobs out of graphile-worker's default schema. Earlier versions used it, and add jobs as
 * long as one of them runs. A job that such a version is running stays there. Nothing else is touched, because the
 * application may use that schema too.
 * @param abandonedAfter the longest time that a living worker holds a job, in milliseconds.
 * @returns how many were moved.
 */
export async function moveJobsOfEarlierVersions(pool: Pool, abandonedAfter: number): Promise<number> {
  const { rows: known } = await pool.query<{ tables: number }>(OWN_TABLES);
  if (known[0]?.tables !== 3) return 0;
  const { rows: layouts } = await pool.query<{ level: number }>(LAYOUT);
  if (layouts[0]?.level !== EARLIER_LAYOUT) return 0;
  await pool.query(ADD_TASK, [DOMAIN_EVENT_TASK]);
  for (let moved = 0; ;) {
    const { rows } = await pool.query<{ jobs: number }>(MOVE_JOBS, [
      DOMAIN_EVENT_TASK,
      BATCH,
      abandonedAfter,
    ]);
    const jobs = rows[0]?.jobs ?? 0;
    moved += jobs;
    if (jobs < BATCH) return moved;
  }
}

/** Jobs per statement: a refused campaign may have left very many. */
const BATCH = 1_000;

/** The last migration of graphile-worker 0.17.3. */
const EARLIER_LAYOUT = 19;

/** Searches the catalog, which also lists the tables of schemas that this role may not use. */
const OWN_TABLES = `
select count(*)::int as tables from pg_class join pg_namespace on pg_namespace.oid = relnamespace
 where nspname = 'graphile_worker' and relname in ('migrations', '_private_tasks', '_private_jobs')
   and pg_has_role(relowner, 'usage')`;

const LAYOUT = `select max(id) as level from graphile_worker.migrations`;

const ADD_TASK = `insert into ${JOB_QUEUE_SCHEMA}._private_tasks (identifier) values ($1) on conflict do nothing`;

const MOVE_JOBS = `
with found as (
  select job.id from graphile_worker._private_jobs as job
    join graphile_worker._private_tasks as task on task.id = job.task_id
   where task.identifier = $1 and job.payload->>'name' is not null and job.payload->'event'->>'id' is not null
     and (job.locked_at is null or job.locked_at < now() - $3 * interval '1 millisecond')
   order by job.id limit $2 for update of job skip locked
),
taken as (
  delete from graphile_worker._private_jobs as job using found where job.id = found.id returning job.*
),
moved as (
  insert into ${JOB_QUEUE_SCHEMA}._private_jobs
    (task_id, payload, priority, run_at, attempts, max_attempts, last_error, created_at)
  select task.id, payload, priority, run_at, attempts, max_attempts, last_error, taken.created_at
    from taken join ${JOB_QUEUE_SCHEMA}._private_tasks as task on task.identifier = $1
  returning id
)
select count(*)::int as jobs from moved`;
