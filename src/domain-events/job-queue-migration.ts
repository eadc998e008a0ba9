import type { Pool } from 'pg';
import { DOMAIN_EVENT_TASK, JOB_QUEUE_SCHEMA } from './domain-events.js';
import { JobQueueLogger, jobQueueOptions, runMigrations } from './graphile-worker.js';

/** Exists if the queue's schema does. */
export const JOB_QUEUE_TABLE = `${JOB_QUEUE_SCHEMA}.migrations`;

/** Migrates the queue's schema, and no other. */
export async function migrateJobQueue(pool: Pool): Promise<void> {
  const logger = new JobQueueLogger(() => () => undefined);
  await runMigrations({ ...jobQueueOptions, pgPool: pool, noPreparedStatements: true, logger });
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
