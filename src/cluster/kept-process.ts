import { Logger } from '@nestjs/common';
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { restartDelay } from './restart-delay.js';

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
}

/** The next one would end as this one did. */
export class NeverListenedError extends Error {
  override readonly name = 'NeverListenedError';

  constructor(readonly ending: Ending) {
    super(
      `A process of the service ended before it listened (${ending.signal ?? ending.code ?? 'not started'})`,
    );
  }
}

export interface KeptProcessOptions {
  /** Variables in which it differs from the primary. */
  readonly env: Readonly<Record<string, string>>;
  /** What the log calls it. */
  readonly role: string;
  readonly onListening: (worker: Worker) => void;
}

/** One of the processes, and another in its stead whenever it ends. */
export class KeptProcess {
  private readonly logger = new Logger('Processes');
  private worker: Worker | undefined;
  private state: 'starting' | 'kept' | 'stopping' = 'starting';
  private delay = 0;
  private restart: NodeJS.Timeout | undefined;

  constructor(private readonly options: KeptProcessOptions) {}

  /**
   * Resolves when it listens, and keeps it from then on.
   * @throws NeverListenedError when it ends before.
   */
  async start(): Promise<void> {
    const worker = this.fork();
    const ended = ending(worker).then((how) => {
      throw new NeverListenedError(how);
    });
    await Promise.race([once(worker, 'listening'), ended]);
    if (this.state === 'starting') this.state = 'kept';
  }

  /** Resolves when it has ended by the signal. @returns how; null where there was none. */
  async stop(signal: NodeJS.Signals): Promise<Ending | null> {
    this.state = 'stopping';
    clearTimeout(this.restart);
    if (this.worker === undefined) return null;
    const ended = ending(this.worker);
    this.worker.process.kill(signal);
    return ended;
  }

  kill(): void {
    this.worker?.process.kill('SIGKILL');
  }

  private fork(): Worker {
    const begin = Date.now();
    const worker = cluster.fork(this.options.env);
    this.worker = worker;
    worker.once('listening', () => {
      this.options.onListening(worker);
    });
    void ending(worker).then((how) => {
      this.worker = undefined;
      if (this.state === 'kept') this.forkLater(worker, how, Date.now() - begin);
    });
    return worker;
  }

  private forkLater(worker: Worker, how: Ending, lived: number): void {
    this.delay = restartDelay(this.delay, lived);
    this.logger.error('A process ended and is started again', {
      process: worker.process.pid,
      role: this.options.role,
      ...how,
      afterMilliseconds: this.delay,
    });
    this.restart = setTimeout(() => this.fork(), this.delay);
  }
}

/** One that could not be started has ended, too; other errors of the channel to it mean nothing by themselves. */
function ending(worker: Worker): Promise<Ending> {
  return new Promise((resolve) => {
    worker.once('exit', (code: number | null, signal: string | null) => {
      resolve({ code, signal });
    });
    worker.on('error', () => {
      if (worker.process.pid === undefined) resolve({ code: null, signal: null });
    });
  });
}
