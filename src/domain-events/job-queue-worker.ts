import { Logger } from '@nestjs/common';
import {
  Logger as JobQueueLogger,
  run,
  type Runner,
  type TaskList,
  type WorkerEvents,
  type WorkerPool,
} from 'graphile-worker';
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { freeAbandonedJobs } from './abandoned-jobs.js';
import type { DomainEventsModuleOptions } from './domain-events.module-definition.js';
import { JobQueuePool } from './job-queue-pool.js';
import { endOfRunner } from './runner-end.js';

const RESTART_DELAY_MILLISECONDS = 1_000;
const SWEEP_INTERVAL_MILLISECONDS = 5_000;
const POOL_END_LIMIT_MILLISECONDS = 2_000;

/** How long graphile-worker may take to end when it gives up. Jobs at work then come again: nobody hears of their end. */
const GIVING_UP_LIMIT_MILLISECONDS = 5_000;

/** No worker that lives holds a job for longer than its time limit and the moment that it takes to give it back. */
const ABANDONED_AFTER_TIME_LIMIT_MILLISECONDS = 5_000;

/**
 * Without a batch graphile-worker does not wait for what it writes when a job has ended: a shutdown would lose it, and
 * its failure would be an unhandled rejection.
 */
const COMPLETIONS_AWAITED = { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } };

/** graphile-worker under supervision: it is started again when it gives up, e.g. because the database went away. */
export class JobQueueWorker {
  private readonly logger = new Logger('JobQueue');
  private readonly stopping = new AbortController();
  private readonly events: WorkerEvents = new EventEmitter();
  private runner: Runner | undefined;
  private workerPool: WorkerPool | undefined;
  private supervision: Promise<void> = Promise.resolve();
  private isFailing = false;

  constructor(
    private readonly options: DomainEventsModuleOptions,
    private readonly taskList: TaskList,
  ) {
    this.events.on('pool:create', ({ workerPool }) => {
      this.workerPool = workerPool;
    });
  }

  start(): void {
    this.supervision = this.supervise();
  }

  isRunning(): boolean {
    return this.runner !== undefined;
  }

  /** Takes no new jobs, waits for those at work, and gives those back that do not end in time. */
  async stop(): Promise<void> {
    this.stopping.abort();
    const runner = this.runner;
    if (runner !== undefined) {
      const limit = new AbortController();
      // The supervision ends first where graphile-worker was about to give up already.
      const stopped = Promise.race([runner.stop(), this.supervision]).finally(() => {
        limit.abort();
      });
      const timeout = this.shutdownTimeoutMilliseconds;
      await Promise.race([stopped, delay(timeout, undefined, { signal: limit.signal })]).catch(ignore);
      if (!limit.signal.aborted) {
        this.logger.warn('Jobs still at work at the end of the shutdown are given back to the queue');
        // Not `runner.kill()`: once the runner is stopping, that does nothing.
        await Promise.resolve(this.workerPool?.forcefulShutdown('The process was shut down')).catch(ignore);
      }
    }
    await this.supervision;
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private async supervise(): Promise<void> {
    while (!this.isStopping()) {
      const pool = new JobQueuePool(this.options.connection);
      try {
        this.runner = await run({
          pgPool: pool,
          taskList: this.taskList,
          concurrency: this.options.concurrency ?? 10,
          pollInterval: this.options.pollIntervalMilliseconds ?? 2_000,
          noHandleSignals: true,
          events: this.events,
          preset: COMPLETIONS_AWAITED,
          noPreparedStatements: this.options.noPreparedStatements ?? false,
          logger: this.forwardedLogger(),
        });
        this.isFailing = false;
        // `stop` could not, while there was no runner yet.
        if (this.isStopping()) await this.runner.stop();
        await this.freeAbandonedJobsUntil(this.endOfRunner(this.runner), pool);
      } catch (error) {
        if (!this.isStopping()) {
          this.logger[this.isFailing ? 'debug' : 'error']('The job queue stopped and will be started again', {
            error: messageOf(error),
          });
        }
        this.isFailing = true;
      }
      this.runner = undefined;
      // A connection whose other end is gone may never end.
      await Promise.race([pool.end(), delay(POOL_END_LIMIT_MILLISECONDS, undefined, { ref: false })]).catch(
        ignore,
      );
      await delay(RESTART_DELAY_MILLISECONDS, undefined, { signal: this.stopping.signal }).catch(ignore);
    }
  }

  private endOfRunner(runner: Runner): Promise<void> {
    return endOfRunner(runner, () => {
      const timeout = this.isStopping() ? this.shutdownTimeoutMilliseconds : 0;
      return timeout + GIVING_UP_LIMIT_MILLISECONDS;
    });
  }

  private get shutdownTimeoutMilliseconds(): number {
    return this.options.shutdownTimeoutMilliseconds ?? 8_000;
  }

  /** A worker that was killed leaves its jobs locked; graphile-worker by itself frees them after four hours. */
  private async freeAbandonedJobsUntil(end: Promise<void>, pool: Pool): Promise<void> {
    const limit = (this.options.timeLimitMilliseconds ?? 25_000) + ABANDONED_AFTER_TIME_LIMIT_MILLISECONDS;
    const ended = new AbortController();
    const sweeping = this.sweep(pool, limit, ended.signal);
    try {
      await end;
    } finally {
      ended.abort();
      await sweeping;
    }
  }

  private async sweep(pool: Pool, limit: number, signal: AbortSignal): Promise<void> {
    const isOver = () => signal.aborted;
    for (;;) {
      await delay(SWEEP_INTERVAL_MILLISECONDS, undefined, { signal }).catch(ignore);
      if (isOver()) return;
      try {
        const workers = await freeAbandonedJobs(pool, limit);
        if (workers > 0) this.logger.warn('Jobs of workers that died were freed', { workers });
      } catch (error) {
        this.logger.debug('Abandoned jobs could not be looked for', { error: messageOf(error) });
      }
    }
  }

  private forwardedLogger(): JobQueueLogger {
    return new JobQueueLogger(() => (level: string, message) => {
      // After the first line comes a stack.
      if (level === 'error') this.logger.warn(message.split('\n', 1)[0]);
      if (level !== 'error' || message.includes('\n')) this.logger.debug(message);
    });
  }
}

function ignore(): void {
  // The error is somebody else's to report.
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
