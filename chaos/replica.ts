import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ReplicaName } from './fault-schedule.js';
import type { ReplicaEnds } from './replica-ends.js';
import { isOk } from './readiness.js';

/** `docker stop` kills after 10 s. */
const STOP_LIMIT_MILLISECONDS = 10_000;

const RESTART_DELAY_MILLISECONDS = 1_000;

export interface ReplicaOptions {
  readonly name: ReplicaName;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** The file for its output. */
  readonly logFile: string;
  /** Whether the database was unreachable for a start since `time`, in milliseconds since 1970. */
  readonly databaseWasAwaySince: (time: number) => boolean;
}

/** The compiled service as a process, restarted after each end, like under a supervisor. */
export class Replica {
  #upSince: number | null = null;
  #child: ChildProcess | undefined;
  #startedAt = 0;
  #stopAskedAt: number | undefined;
  #isKilled = false;
  #isRetired = false;

  constructor(
    private readonly options: ReplicaOptions,
    private readonly ends: ReplicaEnds,
  ) {}

  get name(): ReplicaName {
    return this.options.name;
  }

  get origin(): string {
    return `http://127.0.0.1:${String(this.options.port)}`;
  }

  /** When it started to answer, in milliseconds since 1970. */
  get upSince(): number | null {
    return this.#upSince;
  }

  get isUp(): boolean {
    return this.#upSince !== null;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    if (this.#child !== undefined || this.#isRetired) return;
    const log = openSync(this.options.logFile, 'a');
    this.#child = spawn(process.execPath, [fileURLToPath(new URL('../src/main.js', import.meta.url))], {
      cwd: this.options.folder,
      env: { PATH: process.env.PATH, ...this.options.env, PORT: String(this.options.port) },
      stdio: ['ignore', log, log],
      // Ctrl-C in the terminal must reach only this program, which ends its processes itself.
      detached: true,
    });
    closeSync(log);
    this.#startedAt = Date.now();
    this.#stopAskedAt = undefined;
    this.#isKilled = false;
    const child = this.#child;
    child.once('exit', (code, signal) => {
      this.#onExit(code, signal);
    });
    void this.#watchStart(child);
  }

  /** Runs kill -9. Resolves when the process has ended. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#isKilled = true;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Sends SIGTERM, and kill -9 if that takes too long. @returns how long the end took, in milliseconds. */
  async stop(): Promise<number> {
    const child = this.#child;
    if (child === undefined) return 0;
    const askedAt = Date.now();
    this.#stopAskedAt = askedAt;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MILLISECONDS);
    await ended;
    clearTimeout(limit);
    return Date.now() - askedAt;
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  unfreeze(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Ends it permanently. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.kill();
  }

  async isReady(): Promise<boolean> {
    return isOk(`${this.origin}/health/ready`);
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    const wasUp = this.isUp;
    this.#upSince = null;
    this.#child = undefined;
    if (this.#isKilled) return;
    const end = { name: this.name, code, signal, wasUp };
    const databaseWasAway = this.options.databaseWasAwaySince(this.#startedAt);
    if (this.#stopAskedAt !== undefined) {
      this.ends.addStop(end, Date.now() - this.#stopAskedAt, databaseWasAway);
      return;
    }
    this.ends.addOther(end, databaseWasAway);
    setTimeout(() => {
      this.start();
    }, RESTART_DELAY_MILLISECONDS);
  }

  async #watchStart(child: ChildProcess): Promise<void> {
    while (this.#child === child && !this.isUp) {
      const isUp = await isOk(`${this.origin}/health/live`);
      if (isUp && this.#child === child) this.#upSince = Date.now();
      await delay(100);
    }
  }
}
