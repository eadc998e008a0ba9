import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { demoAccount } from '../../simulator/demo-account.js';
import { PUBLIC_BASE_URL } from './application.js';
import { until } from './until.js';
import { compiled } from './compiled.js';

export type ServiceEnv = Readonly<Record<string, string | undefined>>;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The required variables of the service, except the database. */
export const requiredEnv = {
  TWILIO_ACCOUNT_SID: demoAccount.sid,
  TWILIO_AUTH_TOKEN: demoAccount.authToken,
};

/** A process of the compiled service (`npm run build`), with only the given variables. */
export class ServiceProcess {
  stdout = '';
  stderr = '';
  /** Resolves with its exit once its output is complete. */
  readonly ended: Promise<Exit>;
  private exit: Exit | undefined;

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(child, 'close').then(([code, signal]) => {
      this.exit = { code: code as Exit['code'], signal: signal as Exit['signal'] };
      return this.exit;
    });
    running.add(this);
  }

  /** @param program below dist/src, e.g. `main` */
  static run(
    program: string,
    env: ServiceEnv,
    args: readonly string[] = [],
    folder = tmpdir(),
  ): ServiceProcess {
    const file = fileURLToPath(compiled(`src/${program}.js`));
    const child = spawn(process.execPath, [file, ...args], {
      // Not the repository, because its .env belongs to the developer.
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new ServiceProcess(child);
  }

  /** Starts a service that listens on a free port and logs JSON. @param folder its working directory. */
  static async start(env: ServiceEnv, folder?: string): Promise<ServiceProcess> {
    const usual = { ...requiredEnv, PUBLIC_BASE_URL, NODE_ENV: 'production', HOST: '127.0.0.1', PORT: '0' };
    const service = ServiceProcess.run('main', { ...usual, ...env }, [], folder);
    await until(
      'the service to listen',
      () => {
        if (service.exit !== undefined) throw new Error(`The service ended: ${service.output}`);
        return service.url !== undefined;
      },
      50_000,
    );
    return service;
  }

  /** E.g. `http://127.0.0.1:40123`. */
  get origin(): string {
    return this.url ?? '';
  }

  get output(): string {
    return this.stdout + this.stderr;
  }

  /** The lines of its JSON log. */
  get lines(): Record<string, unknown>[] {
    const complete = this.stdout.slice(0, this.stdout.lastIndexOf('\n') + 1);
    return complete
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  get messages(): unknown[] {
    return this.lines.map(({ message }) => message);
  }

  get pid(): number {
    const { pid } = this.child;
    if (pid === undefined) throw new Error('The process could not be started');
    return pid;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  private get url(): string | undefined {
    const listening = this.lines.find(({ message }) => message === 'Listening');
    return listening === undefined ? undefined : String(listening.url);
  }
}

const running = new Set<ServiceProcess>();

/** Stops the processes that a test left running. */
export async function endServices(): Promise<void> {
  for (const service of running) {
    service.signal('SIGKILL');
    await service.ended;
  }
  running.clear();
}
