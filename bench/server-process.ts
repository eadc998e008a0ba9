import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../harness/postgres-server.js';
import { ACCOUNT, PUBLIC_BASE_URL } from './callbacks.js';
import type { Contender } from './contenders.js';
import { processorTime, residentMemory } from './processor-time.js';

const START_LIMIT_MILLISECONDS = 60_000;

/** A port at which nothing listens: no contender may call Twilio. */
const NOWHERE = 'http://127.0.0.1:9';

/** A contender as a separate process. */
export class ServerProcess {
  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
    private readonly logFile: string,
    private readonly contender: Contender,
  ) {}

  /**
   * Resolves once it answers.
   * @param folder the folder of its log.
   * @param settings variables that override the common environment.
   */
  static async start(
    contender: Contender,
    folder: string,
    databaseUrl?: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<ServerProcess> {
    const port = await freePort();
    const logFile = join(folder, `${contender.letter}.log`);
    const log = openSync(logFile, 'a');
    const program = fileURLToPath(new URL(contender.program, import.meta.url));
    const child = spawn(process.execPath, [...nodeOptions(), program], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...environment(port, databaseUrl), ...settings },
      stdio: ['ignore', log, log],
      // Ctrl-C in the terminal must reach only this program, which ends its processes itself.
      detached: true,
    });
    closeSync(log);
    const server = new ServerProcess(port, child, logFile, contender);
    try {
      await server.#untilItAnswers();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** Processor time so far in microseconds; NaN if unknown. */
  get processorTime(): number {
    return this.child.pid === undefined ? NaN : processorTime(this.child.pid);
  }

  /** Memory in bytes; NaN if unknown. */
  get residentMemory(): number {
    return this.child.pid === undefined ? NaN : residentMemory(this.child.pid);
  }

  /** Ends the whole group of the detached process: a killed primary could no longer end its processes. */
  async close(): Promise<void> {
    const { pid } = this.child;
    if (this.#hasEnded || pid === undefined) return;
    const ended = once(this.child, 'exit');
    process.kill(-pid, 'SIGKILL');
    await ended;
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async #untilItAnswers(): Promise<void> {
    const end = Date.now() + START_LIMIT_MILLISECONDS;
    while (!(await answers(this.port))) {
      if (this.#hasEnded || Date.now() > end) {
        const { letter, name } = this.contender;
        throw new Error(`(${letter}) ${name} did not start; its log is ${this.logFile}`);
      }
      await delay(100);
    }
  }
}

/** Returns Node's options of `npm run start:prod`. */
function nodeOptions(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    scripts: Record<'start:prod', string>;
  };
  return scripts['start:prod'].split(' ').filter((word) => word.startsWith('--'));
}

/** Returns the default settings plus the required ones. */
function environment(port: number, databaseUrl: string | undefined): Record<string, string> {
  return {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_BASE_URL,
    TWILIO_ACCOUNT_SID: ACCOUNT.sid,
    TWILIO_AUTH_TOKEN: ACCOUNT.token,
    TWILIO_API_BASE_URL: NOWHERE,
    ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }),
  };
}

/** Whether the port answers, with any status. */
async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
