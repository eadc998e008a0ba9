import type { Pool } from 'pg';
import { DOMAIN_EVENT_TASK } from './domain-event-job.js';

/**
 * Frees the jobs of workers that hold a domain event for longer than any living worker does. An application may use
 * graphile-worker in the same database for work of its own that takes longer.
 * @param limit in milliseconds.
 * @returns how many workers had died.
 */
export async function freeAbandonedJobs(pool: Pool, limit: number): Promise<number> {
  const { rows } = await pool.query<{ workers: number }>(
    `with dead as (
       select array_agg(distinct locked_by) as workers from graphile_worker.jobs
        where task_identifier = $2 and locked_at < now() - $1 * interval '1 millisecond'
     )
     select cardinality(workers) as workers from dead, graphile_worker.force_unlock_workers(dead.workers)
      where workers is not null`,
    [limit, DOMAIN_EVENT_TASK],
  );
  return rows[0]?.workers ?? 0;
}
