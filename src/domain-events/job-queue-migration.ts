import type { ClientBase, Pool } from 'pg';
import { DOMAIN_EVENT_TASK, JOB_QUEUE_SCHEMA } from './domain-event-job.js';
import { JobQueueLogger, jobQueueOptions, runMigrations } from './graphile-worker.js';

/** Its existence says that the queue's schema is there. */
export const JOB_QUEUE_TABLE = `${JOB_QUEUE_SCHEMA}.migrations`;

/** Brings the queue's schema up to date, and touches no other one. */
export async function migrateJobQueue(pool: Pool): Promise<void> {
  const logger = new JobQueueLogger(() => () => undefined);
  await runMigrations({ ...jobQueueOptions, pgPool: pool, noPreparedStatements: true, logger });
}

/**
 * Moves the jobs of this service that wait in graphile-worker's default schema, which earlier versions used. A job that
 * a worker of such a version is doing stays with it. Nothing else is touched: an application may have that schema too.
 * @returns how many were moved.
 */
export async function moveJobsOfEarlierVersions(client: ClientBase): Promise<number> {
  const { rows: known } = await client.query<{ tables: number }>(OWN_TABLES);
  if (known[0]?.tables !== 3) return 0;
  const { rows: layouts } = await client.query<{ level: number }>(LAYOUT);
  if (layouts[0]?.level !== EARLIER_LAYOUT) return 0;
  await client.query(ADD_TASK, [DOMAIN_EVENT_TASK]);
  const { rows } = await client.query<{ jobs: number }>(MOVE_JOBS, [DOMAIN_EVENT_TASK]);
  return rows[0]?.jobs ?? 0;
}

/** The last migration of graphile-worker 0.17.3. */
const EARLIER_LAYOUT = 19;

/** Looked for in the catalog, which names tables of a schema that this role may not use, too. */
const OWN_TABLES = `
select count(*)::int as tables from pg_class join pg_namespace on pg_namespace.oid = relnamespace
 where nspname = 'graphile_worker' and relname in ('migrations', '_private_tasks', '_private_jobs')
   and pg_has_role(relowner, 'usage')`;

const LAYOUT = `select max(id) as level from graphile_worker.migrations`;

const ADD_TASK = `insert into ${JOB_QUEUE_SCHEMA}._private_tasks (identifier) values ($1) on conflict do nothing`;

/** A worker that has held its job for two minutes is dead: listeners have 25 seconds. */
const MOVE_JOBS = `
with taken as (
  delete from graphile_worker._private_jobs as job using graphile_worker._private_tasks as task
   where task.id = job.task_id and task.identifier = $1
     and job.payload->>'name' is not null and job.payload->'event'->>'id' is not null
     and (job.locked_at is null or job.locked_at < now() - interval '2 minutes')
  returning job.*
),
moved as (
  insert into ${JOB_QUEUE_SCHEMA}._private_jobs
    (task_id, payload, priority, run_at, attempts, max_attempts, last_error, created_at)
  select task.id, payload, priority, run_at, attempts, max_attempts, last_error, taken.created_at
    from taken join ${JOB_QUEUE_SCHEMA}._private_tasks as task on task.identifier = $1
  returning id
)
select count(*)::int as jobs from moved`;
