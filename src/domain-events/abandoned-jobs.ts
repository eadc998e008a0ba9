import type { Pool } from 'pg';
import { JOB_QUEUE_SCHEMA } from './domain-event-job.js';

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
