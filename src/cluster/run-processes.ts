import { Logger } from '@nestjs/common';
import type { Env } from '../config/env.js';
import { createLogger } from '../process/logger.js';
import { StartupError } from '../process/startup-error.js';
import { type Ending, KeptProcess, NeverListenedError } from './kept-process.js';
import { MetricsGathering } from './metrics-gathering.js';

/** A process ends itself after 9.5 s, and `docker stop` kills after 10 s. */
const STOP_LIMIT_MILLISECONDS = 9_800;

/** npm passes on the signal of a Ctrl-C that the terminal has sent already. */
const SAME_SIGNAL_MILLISECONDS = 2_000;

/**
 * Runs the service as several processes that share one port, the first of them with the job queue's worker.
 * @throws StartupError when the first ends before it has listened.
 */
export async function runProcesses(env: Env): Promise<void> {
  Logger.overrideLogger(createLogger(env));
  const logger = new Logger('Processes');
  const metrics = new MetricsGathering();
  const keep = (concurrency: number) =>
    new KeptProcess({
      env: { WORKER_CONCURRENCY: String(concurrency) },
      role: concurrency === 0 ? 'web' : 'web and worker',
      onListening: (worker) => {
        metrics.include(worker);
        if (group.isListening) logger.log('All processes listen', { processes: env.PROCESSES });
      },
    });
  const first = keep(env.WORKER_CONCURRENCY);
  const others = Array.from({ length: env.PROCESSES - 1 }, () => keep(0));
  const group = new ProcessGroup([first, ...others]);
  try {
    // Alone at first: what keeps it from starting is told once.
    await first.start();
  } catch (error) {
    await group.giveUp(error);
  }
  // Callbacks are taken from here on, so what fails is tried again. Where cores are few, starts at once would be slow ones.
  for (const process of others) {
    if (group.isStopping) return;
    await process.keep();
  }
}

/** Ends the processes together, and the primary after them. */
class ProcessGroup {
  private readonly logger = new Logger('Processes');
  private stoppingSince: number | undefined;

  constructor(private readonly processes: readonly KeptProcess[]) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        this.onSignal(signal);
      });
    }
  }

  /** Whether all of them do. */
  get isListening(): boolean {
    return this.processes.every((process) => process.isListening);
  }

  get isStopping(): boolean {
    return this.stoppingSince !== undefined;
  }

  /** @throws the reason, unless a signal or the process itself has told it. */
  async giveUp(reason: unknown): Promise<void> {
    if (this.isStopping) return;
    await this.stop('SIGTERM');
    if (!(reason instanceof NeverListenedError)) throw reason;
    if (reason.ending.code !== 1) throw new StartupError(reason.message, { cause: reason });
    process.exit(1);
  }

  private onSignal(signal: NodeJS.Signals): void {
    if (this.stoppingSince === undefined) {
      this.logger.log('All processes are shut down', { signal });
      void this.stop(signal).then((gracefully) => process.exit(gracefully ? 0 : 1));
    } else if (Date.now() - this.stoppingSince > SAME_SIGNAL_MILLISECONDS) {
      this.kill();
    }
  }

  /** @returns whether all have ended of their own accord. */
  private async stop(signal: NodeJS.Signals): Promise<boolean> {
    this.stoppingSince = Date.now();
    const limit = setTimeout(() => {
      this.kill();
    }, STOP_LIMIT_MILLISECONDS);
    const endings = await Promise.all(this.processes.map((process) => process.stop(signal)));
    clearTimeout(limit);
    // One that was just starting ends by the signal itself.
    return endings.every((how: Ending | null) => how === null || how.code === 0 || how.signal === signal);
  }

  private kill(): void {
    for (const process of this.processes) process.kill();
  }
}
