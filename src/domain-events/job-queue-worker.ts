import { Logger } from '@nestjs/common';
import { Logger as JobQueueLogger, run, type Runner, type TaskList } from 'graphile-worker';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import { freeAbandonedJobs } from './abandoned-jobs.js';
import type { DomainEventsModuleOptions } from './domain-events.module-definition.js';

const RESTART_DELAY_MILLISECONDS = 1_000;
const SWEEP_INTERVAL_MILLISECONDS = 5_000;

/** No worker that lives holds a job for longer than its time limit and the moment that it takes to give it back. */
const ABANDONED_AFTER_TIME_LIMIT_MILLISECONDS = 5_000;

/** graphile-worker under supervision: it is started again when it gives up, e.g. because the database went away. */
export class JobQueueWorker {
  private readonly logger = new Logger('JobQueue');
  private readonly stopping = new AbortController();
  private runner: Runner | undefined;
  private supervision: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: DomainEventsModuleOptions,
    private readonly taskList: TaskList,
  ) {}

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
      const stopped = runner.stop().finally(() => {
        limit.abort();
      });
      const timeout = this.options.shutdownTimeoutMilliseconds ?? 8_000;
      await Promise.race([stopped, delay(timeout, undefined, { signal: limit.signal })]).catch(ignore);
      if (!limit.signal.aborted) {
        this.logger.warn('Jobs still at work at the end of the shutdown are given back to the queue');
        await runner.kill().catch(ignore);
      }
    }
    await this.supervision;
  }

  private async supervise(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const pool = this.openPool();
      try {
        this.runner = await run({
          pgPool: pool,
          taskList: this.taskList,
          concurrency: this.options.concurrency ?? 10,
          pollInterval: this.options.pollIntervalMilliseconds ?? 2_000,
          noHandleSignals: true,
          noPreparedStatements: this.options.noPreparedStatements ?? false,
          logger: this.forwardedLogger(),
        });
        await this.freeAbandonedJobsUntil(this.runner.promise, pool);
      } catch (error) {
        this.logger.error('The job queue stopped and will be started again', { error: messageOf(error) });
      }
      this.runner = undefined;
      await pool.end().catch(ignore);
      await delay(RESTART_DELAY_MILLISECONDS, undefined, { signal: this.stopping.signal }).catch(ignore);
    }
  }

  /** A worker that was killed leaves its jobs locked; graphile-worker by itself frees them after four hours. */
  private async freeAbandonedJobsUntil(end: Promise<void>, pool: Pool): Promise<void> {
    const limit = (this.options.timeLimitMilliseconds ?? 25_000) + ABANDONED_AFTER_TIME_LIMIT_MILLISECONDS;
    const timer = setInterval(() => {
      freeAbandonedJobs(pool, limit).then(
        (workers) => {
          if (workers > 0) this.logger.warn('Jobs of workers that died were freed', { workers });
        },
        (error: unknown) => {
          this.logger.debug('Abandoned jobs could not be looked for', { error: messageOf(error) });
        },
      );
    }, SWEEP_INTERVAL_MILLISECONDS);
    try {
      await end;
    } finally {
      clearInterval(timer);
    }
  }

  private openPool(): Pool {
    const pool = new Pool({ connectionTimeoutMillis: 4_000, ...this.options.connection });
    // A connection that breaks is replaced by the next one; without a listener its error would end the process.
    pool.on('error', ignore);
    pool.on('connect', (client) => client.on('error', ignore));
    return pool;
  }

  private forwardedLogger(): JobQueueLogger {
    return new JobQueueLogger(() => (level: string, message) => {
      if (level === 'error') this.logger.warn(message);
      else this.logger.debug(message);
    });
  }
}

function ignore(): void {
  // The error is somebody else's to report.
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
