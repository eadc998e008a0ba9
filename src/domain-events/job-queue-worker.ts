import { Logger } from '@nestjs/common';
import type { Runner, TaskList, WorkerPool } from 'graphile-worker';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { type DomainEventsModuleOptions, JOB_QUEUE_SCHEMA } from './domain-events.js';
import {
  awaitReturnedJobs,
  endOfRunner,
  freeAbandonedJobs,
  JobQueueLogger,
  JobQueuePool,
  LONGEST_LOCAL_WAIT_MILLISECONDS,
  moveJobsOfEarlierVersions,
  run,
  runnerOptions,
} from './graphile-worker.js';
import { JobQueueProgress, LOOK_INTERVAL_MILLISECONDS } from './job-queue-progress.js';

const RESTART_DELAY_MILLISECONDS = 1_000;
const START_LIMIT_MILLISECONDS = 10_000;
const SWEEP_INTERVAL_MILLISECONDS = 5_000;
const POOL_END_LIMIT_MILLISECONDS = 2_000;

/** How long graphile-worker may take to end before it is given up. Running jobs are then delivered again. */
const GIVING_UP_LIMIT_MILLISECONDS = 5_000;

/** A living worker holds a job while it waits, for its time limit, and until it has given it back. */
const ABANDONED_AFTER_TIME_LIMIT_MILLISECONDS = LONGEST_LOCAL_WAIT_MILLISECONDS + 3_000;

/** Fails or waits if the tables that a worker writes to are not writable. It changes no row. */
const USE_TABLES = `
with task as (insert into ${JOB_QUEUE_SCHEMA}._private_tasks (identifier) select null where false)
update ${JOB_QUEUE_SCHEMA}._private_jobs set attempts = attempts where false`;

/** Errors that graphile-worker retries itself. If the retries fail, the supervision reports it. */
const TRIED_AGAIN =
  /^(Error with notify listener|Cron hit an error|Failed to reset locked|Error occurred fetching jobs)/;

/**
 * Supervises graphile-worker: restarts it with new connections if it ends or takes no jobs, whatever the reason.
 * https://github.com/graphile/worker/issues/185 and /541 are two.
 */
export class JobQueueWorker {
  private readonly logger = new Logger('JobQueue');
  private readonly stopping = new AbortController();
  private readonly concurrency: number;
  private readonly pollInterval: number;
  private runner: Runner | undefined;
  private progress: JobQueueProgress | undefined;
  private workerPool: WorkerPool | undefined;
  private supervision: Promise<void> = Promise.resolve();
  private isFailing = false;

  constructor(
    private readonly options: DomainEventsModuleOptions,
    private readonly taskList: TaskList,
  ) {
    this.concurrency = options.concurrency ?? 10;
    this.pollInterval = options.pollIntervalMilliseconds ?? 2_000;
  }

  start(): void {
    this.supervision = this.supervise();
  }

  /** Whether it takes jobs, or would if there were any. */
  isRunning(): boolean {
    return this.progress?.isAlive() ?? false;
  }

  /** Takes no new jobs, waits for running ones, and gives back those that do not end in time. */
  async stop(): Promise<void> {
    this.stopping.abort();
    const runner = this.runner;
    if (runner !== undefined) {
      const limit = new AbortController();
      // The supervision ends first if graphile-worker was already ending.
      const stopped = Promise.race([runner.stop(), this.supervision]).finally(() => {
        limit.abort();
      });
      const timeout = this.shutdownTimeoutMilliseconds;
      await Promise.race([stopped, delay(timeout, undefined, { signal: limit.signal })]).catch(ignore);
      if (!limit.signal.aborted) {
        this.logger.warn('Jobs still at work at the end of the shutdown are given back to the queue');
        // Not `runner.kill()`: once the runner is stopping, that does nothing (graphile-worker 0.17.3).
        await Promise.resolve(this.workerPool?.forcefulShutdown('The process was shut down')).catch(ignore);
      }
    }
    await this.supervision;
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private async supervise(): Promise<void> {
    const { signal } = this.stopping;
    while (!this.isStopping()) {
      const pool = new JobQueuePool(this.options.connection);
      try {
        await this.runUntilItEnds(pool);
      } catch (error) {
        if (!this.isStopping()) this.tellFailure(error);
      }
      this.runner = undefined;
      this.progress = undefined;
      // A connection to a dead server may never end.
      await Promise.race([pool.end(), delay(POOL_END_LIMIT_MILLISECONDS, undefined, { ref: false })]).catch(
        ignore,
      );
      await delay(RESTART_DELAY_MILLISECONDS, undefined, { signal }).catch(ignore);
    }
  }

  /** @throws the error that it ended with, unless it was stopped. */
  private async runUntilItEnds(pool: Pool): Promise<void> {
    const progress = new JobQueueProgress(this.concurrency, this.pollInterval, () => {
      this.tellRecovery();
    });
    progress.events.on('pool:create', ({ workerPool }) => {
      this.workerPool = workerPool;
    });
    progress.events.on('localQueue:init', ({ localQueue }) => {
      awaitReturnedJobs(localQueue);
    });
    const runner = await this.startRunner(pool, progress);
    this.runner = runner;
    this.progress = progress;
    // `stop` had no runner to stop yet.
    if (this.isStopping()) await runner.stop();
    await this.watch(runner, progress, pool);
    // Its promise resolves although its workers have crashed: https://github.com/graphile/worker/issues/635
    if (!this.isStopping()) throw new Error(progress.reason() ?? 'graphile-worker ended unexpectedly');
  }

  /** @throws if it takes too long, e.g. because a session has locked one of graphile-worker's tables. */
  private async startRunner(pool: Pool, progress: JobQueueProgress): Promise<Runner> {
    const starting = this.run(pool, progress);
    const { signal } = this.stopping;
    const limit = delay(START_LIMIT_MILLISECONDS, undefined, { signal, ref: false }).catch(ignore);
    const runner = await Promise.race([starting, limit]);
    if (runner !== undefined) return runner;
    starting.then((late) => late.stop()).catch(ignore);
    throw new Error('graphile-worker did not start in time');
  }

  private async run(pool: Pool, progress: JobQueueProgress): Promise<Runner> {
    // graphile-worker 0.17.3 never frees some memory of each runner (src/taskIdentifiers.ts), so create none in vain.
    if (this.isFailing) await pool.query(USE_TABLES);
    return run({
      ...runnerOptions(this.concurrency),
      schema: this.options.schema ?? JOB_QUEUE_SCHEMA,
      pgPool: pool,
      events: progress.events,
      taskList: this.taskList,
      // Otherwise it reads a file named `crontab` in the working directory, and fails if it cannot parse it.
      parsedCronItems: [],
      pollInterval: this.pollInterval,
      noHandleSignals: true,
      noPreparedStatements: this.options.noPreparedStatements ?? false,
      logger: this.forwardedLogger(progress),
    });
  }

  private tellFailure(error: unknown): void {
    this.logger[this.isFailing ? 'debug' : 'error']('The job queue stopped and will be started again', {
      error: messageOf(error),
    });
    this.isFailing = true;
  }

  private tellRecovery(): void {
    if (this.isFailing) this.logger.log('The job queue works again');
    this.isFailing = false;
  }

  private get shutdownTimeoutMilliseconds(): number {
    return this.options.shutdownTimeoutMilliseconds ?? 8_000;
  }

  /** Resolves when the runner has ended. @throws the error that it ended with, or why it was given up. */
  private async watch(runner: Runner, progress: JobQueueProgress, pool: Pool): Promise<void> {
    const end = new AbortController();
    let problem: string | undefined;
    const giveUp = (reason: string): void => {
      problem = reason;
      runner.stop().catch(ignore);
    };
    // Not awaited: both end with the signal, and their statements may take seconds if there is a problem.
    this.lookForProgress(progress, pool, giveUp, end.signal).catch(ignore);
    this.sweep(pool, end.signal).catch(ignore);
    try {
      await endOfRunner(runner, () => {
        if (this.isStopping()) return this.shutdownTimeoutMilliseconds + GIVING_UP_LIMIT_MILLISECONDS;
        return problem === undefined || progress.isBusy() ? GIVING_UP_LIMIT_MILLISECONDS : 0;
      });
    } catch (error) {
      throw problem === undefined ? error : new Error(problem, { cause: error });
    } finally {
      end.abort();
    }
    if (problem !== undefined && !this.isStopping()) throw new Error(problem);
  }

  private async lookForProgress(
    progress: JobQueueProgress,
    pool: Pool,
    giveUp: (reason: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const untilGivenUp = new AbortController();
    await repeat(LOOK_INTERVAL_MILLISECONDS, AbortSignal.any([signal, untilGivenUp.signal]), async () => {
      const problem = await progress.look(pool);
      if (problem === undefined || signal.aborted || this.isStopping()) return;
      untilGivenUp.abort();
      giveUp(problem);
    });
  }

  /**
   * Frees the jobs of killed workers, which graphile-worker itself frees only after four hours:
   * https://github.com/graphile/worker/issues/222. Also takes over the jobs of earlier versions: until the last of
   * their replicas is replaced, they add jobs to another queue.
   */
  private async sweep(pool: Pool, signal: AbortSignal): Promise<void> {
    const limit = (this.options.timeLimitMilliseconds ?? 25_000) + ABANDONED_AFTER_TIME_LIMIT_MILLISECONDS;
    await repeat(SWEEP_INTERVAL_MILLISECONDS, signal, async () => {
      try {
        const workers = await freeAbandonedJobs(pool, limit);
        if (workers > 0) this.logger.warn('Jobs of workers that died were freed', { workers });
      } catch (error) {
        this.logger.debug('Abandoned jobs could not be looked for', { error: messageOf(error) });
      }
      try {
        const jobs = await moveJobsOfEarlierVersions(pool, limit);
        if (jobs > 0) this.logger.log('Jobs of an earlier version were taken over', { jobs });
      } catch (error) {
        this.logger.debug('Jobs of an earlier version could not be looked for', { error: messageOf(error) });
      }
    });
  }

  private forwardedLogger(progress: JobQueueProgress) {
    return new JobQueueLogger(() => (level: string, message) => {
      progress.logged(message);
      const isNews = level === 'error' && !this.isFailing && !TRIED_AGAIN.test(message);
      // The lines after the first are a stack.
      if (isNews) this.logger.warn(message.split('\n', 1)[0]);
      if (!isNews || message.includes('\n')) this.logger.debug(message);
    });
  }
}

/** Repeats turns until the signal is aborted, with a pause before each. */
async function repeat(milliseconds: number, signal: AbortSignal, turn: () => Promise<void>): Promise<void> {
  for (;;) {
    await delay(milliseconds, undefined, { signal }).catch(ignore);
    if (signal.aborted) return;
    await turn();
  }
}

function ignore(): undefined {
  // The error is reported elsewhere.
  return undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
