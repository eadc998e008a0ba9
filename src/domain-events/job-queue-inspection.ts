import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { InjectDatabase } from '../process/inject-database.js';
import { JOB_QUEUE_SCHEMA } from './domain-events.js';

export interface JobQueueState {
  /** Due jobs that no worker has taken, or only a worker that must have died. From 20,000 on, it is an estimate. */
  readonly waiting: number;
  /** Waiting jobs that have been due for more than two minutes, which a healthy worker never leaves. */
  readonly overdue: number;
  /** How long the first waiting job has been due, in seconds; 0 without one. */
  readonly oldestAgeSeconds: number;
  /** Jobs that have used up their attempts. */
  readonly exhausted: number;
}

/** The maximum number of counted jobs: counting 100,000 took 0.2 s. The others are estimated to be like these. */
const COUNTED_JOBS = 20_000;

/** Reads the state of the queue of domain events, and changes nothing. */
@Injectable()
export class JobQueueInspection {
  constructor(@InjectDatabase() private readonly dataSource: DataSource) {}

  async look(): Promise<JobQueueState> {
    const [state] = await this.dataSource.query<JobQueueState[]>(LOOK);
    return state ?? { waiting: 0, overdue: 0, oldestAgeSeconds: 0, exhausted: 0 };
  }
}

/** An older lock is that of a dead worker: listeners have 25 seconds, and a living worker frees the job soon after. */
const OVERDUE = `interval '2 minutes'`;

const LOOK = `
with jobs as materialized (
  select run_at, attempts, max_attempts, locked_at from ${JOB_QUEUE_SCHEMA}.jobs limit ${COUNTED_JOBS}
),
size as materialized (
  select case when count(*) < ${COUNTED_JOBS} then 1
              else greatest(1, pg_stat_get_live_tuples('${JOB_QUEUE_SCHEMA}._private_jobs'::regclass)
                               / count(*)::float8) end as factor
    from jobs
)
select round((select factor from size) * count(*) filter (where is_waiting))::int as waiting,
       round((select factor from size) * count(*) filter (where is_waiting and run_at < now() - ${OVERDUE}))::int
         as overdue,
       coalesce(extract(epoch from now() - min(run_at) filter (where is_waiting)), 0)::float8 as "oldestAgeSeconds",
       (count(*) filter (where attempts >= max_attempts))::int as exhausted
  from jobs, lateral (
    select run_at <= now() and attempts < max_attempts
           and (locked_at is null or locked_at < now() - ${OVERDUE}) as is_waiting
  ) as seen`;
