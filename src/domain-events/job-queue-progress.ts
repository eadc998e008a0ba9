import type { Worker, WorkerEvents } from 'graphile-worker';
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { DOMAIN_EVENT_TASK, JOB_QUEUE_SCHEMA } from './domain-events.js';

/** How often to look, in milliseconds. A suspended process misses one look, however long it was suspended. */
export const LOOK_INTERVAL_MILLISECONDS = 1_000;

/** How many looks may pass without an answer to graphile-worker, in addition to its poll interval. */
const UNANSWERED_LOOKS = 4;

/** How many consecutive looks must find an overdue job, although an idle worker finds none, to be a problem. */
const OVERDUE_LOOKS = 3;

/** How long a look may take, in milliseconds: the database may answer only graphile-worker. */
const OVERDUE_LIMIT_MILLISECONDS = 2_000;

/**
 * Tracks whether a runner of graphile-worker makes progress. The runner emits an event for each look for a job, but
 * continues silently if all of them fail: https://github.com/graphile/worker/issues/185
 */
export class JobQueueProgress {
  /** Pass it to `run()`. */
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
   * @param concurrency how many jobs the runner runs at a time.
   * @param pollInterval the runner's, in milliseconds.
   * @param onFirstAnswer called when the database first answers a look for a job: the runner works.
   */
  constructor(
    private readonly concurrency: number,
    pollInterval: number,
    private readonly onFirstAnswer: () => void,
  ) {
    this.missedAnswers = Math.ceil(pollInterval / LOOK_INTERVAL_MILLISECONDS) + UNANSWERED_LOOKS;
    this.follow();
  }

  /** Whether it takes jobs, as far as known. */
  isAlive(): boolean {
    return this.answers > 0 && !this.hasEnded && this.problem === undefined;
  }

  isBusy(): boolean {
    return this.busy.size > 0;
  }

  /** Returns graphile-worker's last error. */
  reason(): string | undefined {
    return this.lastError;
  }

  /** Takes what the runner logs: a failed look for jobs has no event. */
  logged(message: string): void {
    this.lastError = FAILED_LOOK.exec(message)?.[1] ?? this.lastError;
  }

  /** Call it once per interval. @returns why the runner makes no progress; undefined if it does, or may. */
  async look(pool: Pool): Promise<string | undefined> {
    const isFull = this.busy.size >= this.concurrency;
    const isAnswered = this.answers > this.seen.answers;
    const hasTaken = this.taken > this.seen.taken;
    this.seen = { answers: this.answers, taken: this.taken };
    this.unanswered = isFull || isAnswered ? 0 : this.unanswered + 1;
    // Other runners take jobs too, but an idle one takes any job that they leave for seconds.
    if (isFull || hasTaken) this.overdue = 0;
    else if (isAnswered) this.overdue = (await isJobOverdue(pool)) ? this.overdue + 1 : 0;
    this.problem = await this.findProblem(pool);
    return this.problem;
  }

  private async findProblem(pool: Pool): Promise<string | undefined> {
    if (this.unanswered >= this.missedAnswers) {
      return `The worker takes no jobs: ${this.lastError ?? 'the database does not answer it'}`;
    }
    // Skips jobs that another transaction has locked: no runner can take them.
    if (this.overdue >= OVERDUE_LOOKS && (await isJobOverdue(pool, 'for update skip locked'))) {
      return 'The worker finds no jobs, although jobs are due';
    }
    return undefined;
  }

  private follow(): void {
    const { events } = this;
    events.on('localQueue:getJobs:complete', () => {
      this.answered();
    });
    events.on('job:start', ({ worker }) => {
      this.busy.add(worker);
      this.taken += 1;
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

const FAILED_LOOK = /^Error occurred fetching jobs; .*? Error: (?:\w*error: )?(.*)/i;

const FAILURES = ['worker:fatalError', 'pool:fatalError', 'pool:listen:error'] as const;

/** Returns false if the look fails: graphile-worker's own looks then fail too. */
async function isJobOverdue(pool: Pool, lock = ''): Promise<boolean> {
  const rows = pool.query(
    // The order is that of an index.
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
