import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { JOB_QUEUE_SCHEMA } from './domain-events.js';

export interface JobQueueState {
  /** Jobs that are due and that no worker has taken, or only one that must have died. */
  readonly waiting: number;
  /** Those of them that have been waiting for more than two minutes: while a worker is well, none does. */
  readonly overdue: number;
  /** How long the first of them has been waiting, in seconds; 0 where there is none. */
  readonly oldestAgeSeconds: number;
  /** Jobs that have used up their attempts. */
  readonly exhausted: number;
}

/** More are not counted, so that a full queue is not slowed down by looking at it. */
const COUNTED_JOBS = 100_000;

/** Looks at the queue of domain events, and changes nothing. */
@Injectable()
export class JobQueueInspection {
  constructor(private readonly dataSource: DataSource) {}

  async look(): Promise<JobQueueState> {
    const [state] = await this.dataSource.query<JobQueueState[]>(LOOK);
    return state ?? { waiting: 0, overdue: 0, oldestAgeSeconds: 0, exhausted: 0 };
  }
}

/** A job that is locked for longer is nobody's: listeners have 25 seconds, and a living worker frees it soon after that. */
const OVERDUE = `interval '2 minutes'`;

const LOOK = `
with jobs as (
  select run_at, attempts, max_attempts, locked_at from ${JOB_QUEUE_SCHEMA}.jobs limit ${COUNTED_JOBS}
)
select (count(*) filter (where is_waiting))::int as waiting,
       (count(*) filter (where is_waiting and run_at < now() - ${OVERDUE}))::int as overdue,
       coalesce(extract(epoch from now() - min(run_at) filter (where is_waiting)), 0)::float8 as "oldestAgeSeconds",
       (count(*) filter (where attempts >= max_attempts))::int as exhausted
  from jobs, lateral (
    select run_at <= now() and attempts < max_attempts
           and (locked_at is null or locked_at < now() - ${OVERDUE}) as is_waiting
  ) as seen`;
