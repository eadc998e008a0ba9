import type { Worker, WorkerEvents } from 'graphile-worker';
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { DOMAIN_EVENT_TASK, JOB_QUEUE_SCHEMA } from './domain-events.js';

/** How often to look, in milliseconds. A process that was suspended has lost one look, however long that was. */
export const LOOK_INTERVAL_MILLISECONDS = 1_000;

/** How long graphile-worker's looks for jobs may stay without an answer, beside the time between two of them. */
const UNANSWERED_LOOKS = 4;

/** How many looks in a row may find a job overdue although a worker without work was told that there is none. */
const OVERDUE_LOOKS = 3;

/** Where the database answers graphile-worker only, this is not waited for. */
const OVERDUE_LIMIT_MILLISECONDS = 2_000;

/**
 * What a runner of graphile-worker comes to. It reports each look for a job, and goes on in silence if all of them fail:
 * https://github.com/graphile/worker/issues/185
 */
export class JobQueueProgress {
  /** For `run()`. */
  readonly events: WorkerEvents = new EventEmitter();
  private readonly busy = new Set<Worker>();
  private readonly missedAnswers: number;
  private hasEnded = false;
  private answers = 0;
  private taken = 0;
  private seen = { answers: 0, taken: 0 };
  private unanswered = 0;
  private overdue = 0;
  private lastError: string | undefined;
  private problem: string | undefined;

  /**
   * @param concurrency how many jobs the runner does at a time.
   * @param pollInterval of the runner, in milliseconds.
   * @param onFirstAnswer called when the database has answered a look for a job: the runner works.
   */
  constructor(
    private readonly concurrency: number,
    pollInterval: number,
    private readonly onFirstAnswer: () => void,
  ) {
    this.missedAnswers = Math.ceil(pollInterval / LOOK_INTERVAL_MILLISECONDS) + UNANSWERED_LOOKS;
    this.follow();
  }

  /** Whether it takes jobs, as far as is known. */
  isAlive(): boolean {
    return this.answers > 0 && !this.hasEnded && this.problem === undefined;
  }

  isBusy(): boolean {
    return this.busy.size > 0;
  }

  /** What graphile-worker last failed with. */
  reason(): string | undefined {
    return this.lastError;
  }

  /** To be called once in each interval. @returns why the runner makes no progress; undefined while it does, or may. */
  async look(pool: Pool): Promise<string | undefined> {
    const isFull = this.busy.size >= this.concurrency;
    const isAnswered = this.answers > this.seen.answers;
    const hasTaken = this.taken > this.seen.taken;
    this.seen = { answers: this.answers, taken: this.taken };
    this.unanswered = isFull || isAnswered ? 0 : this.unanswered + 1;
    // Other runners take jobs too, but one that waits for work takes each job that they have left for seconds.
    if (isFull || hasTaken) this.overdue = 0;
    else if (isAnswered) this.overdue = (await isJobOverdue(pool)) ? this.overdue + 1 : 0;
    this.problem = await this.findProblem(pool);
    return this.problem;
  }

  private async findProblem(pool: Pool): Promise<string | undefined> {
    if (this.unanswered >= this.missedAnswers) {
      return `It takes no jobs: ${this.lastError ?? 'the database does not answer its looks for jobs'}`;
    }
    // Not one that somebody else's transaction has locked: no runner can take that.
    if (this.overdue >= OVERDUE_LOOKS && (await isJobOverdue(pool, 'for update skip locked'))) {
      return 'It takes no jobs: it finds none, although jobs are due';
    }
    return undefined;
  }

  private follow(): void {
    const { events } = this;
    events.on('worker:getJob:empty', () => {
      this.answered();
    });
    events.on('job:start', ({ worker }) => {
      this.busy.add(worker);
      this.taken += 1;
      this.answered();
    });
    events.on('job:complete', ({ worker }) => this.busy.delete(worker));
    events.on('pool:gracefulShutdown', () => {
      this.hasEnded = true;
    });
    const failed = ({ error }: { error: unknown }): void => {
      this.lastError = error instanceof Error ? error.message : String(error);
    };
    for (const name of FAILURES) events.on(name, failed);
  }

  private answered(): void {
    this.answers += 1;
    this.lastError = undefined;
    if (this.answers === 1) this.onFirstAnswer();
  }
}

const FAILURES = [
  'worker:getJob:error',
  'worker:fatalError',
  'pool:fatalError',
  'pool:listen:error',
] as const;

/** A look that fails says nothing: graphile-worker's own looks fail as well then. */
async function isJobOverdue(pool: Pool, lock = ''): Promise<boolean> {
  const rows = pool.query(
    // In the order of an index.
    `select id from ${JOB_QUEUE_SCHEMA}._private_jobs
      where is_available and run_at < now() - interval '5 seconds'
        and task_id = (select id from ${JOB_QUEUE_SCHEMA}._private_tasks where identifier = $1)
      order by priority, run_at limit 1 ${lock}`,
    [DOMAIN_EVENT_TASK],
  );
  const answer = rows.then(
    ({ rowCount }) => rowCount === 1,
    () => false,
  );
  return Promise.race([answer, delay(OVERDUE_LIMIT_MILLISECONDS, false, { ref: false })]);
}
