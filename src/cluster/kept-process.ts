import { Logger } from '@nestjs/common';
import cluster, { type Worker } from 'node:cluster';
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
  private listens = false;
  private delay = 0;
  private restart: NodeJS.Timeout | undefined;

  constructor(private readonly options: KeptProcessOptions) {}

  get isListening(): boolean {
    return this.listens;
  }

  /**
   * Resolves when it listens, and keeps it from then on.
   * @throws NeverListenedError when it ends before.
   */
  async start(): Promise<void> {
    const worker = this.fork();
    const ended = ending(worker).then((how) => {
      throw new NeverListenedError(how);
    });
    await Promise.race([listening(worker), ended]);
    if (this.state === 'starting') this.state = 'kept';
  }

  /** Keeps it from now on, whatever becomes of this try. Resolves when it listens, or the try has failed. */
  async keep(): Promise<void> {
    this.state = 'kept';
    const worker = this.tryToFork();
    if (worker !== null) await Promise.race([listening(worker), ending(worker)]);
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
      this.listens = true;
      this.options.onListening(worker);
    });
    void ending(worker).then((how) => {
      this.worker = undefined;
      this.listens = false;
      if (this.state !== 'kept') return;
      const { pid } = worker.process;
      this.forkLater('A process ended and is started again', { process: pid, ...how }, Date.now() - begin);
    });
    return worker;
  }

  /** Where the system has no memory for one more process, it may have some later. @returns null where it has none. */
  private tryToFork(): Worker | null {
    try {
      return this.fork();
    } catch (error) {
      this.forkLater('A process cannot be started now and is tried again', { error: String(error) }, 0);
      return null;
    }
  }

  private forkLater(message: string, fields: object, lived: number): void {
    this.delay = restartDelay(this.delay, lived);
    this.logger.error(message, { role: this.options.role, ...fields, afterMilliseconds: this.delay });
    this.restart = setTimeout(() => this.tryToFork(), this.delay);
  }
}

function listening(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.once('listening', () => {
      resolve();
    });
  });
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
