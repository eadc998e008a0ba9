import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import cluster from 'node:cluster';
import { isatty } from 'node:tty';
import type { Env } from '../config/env.js';
import { FULL_WHERE_SHARED, LineBuffer } from './line-buffer.js';

const LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'];

/** Longer texts are left to Nest, which bounds the length of a line. */
const SHORT_TEXT = 10_000;

/** Nest's own logger: lines for people, and JSON with the fields at the root in production. */
export function createLogger({ LOG_LEVEL, NODE_ENV }: Pick<Env, 'LOG_LEVEL' | 'NODE_ENV'>): ConsoleLogger {
  const logLevels = LEVELS.slice(0, LEVELS.indexOf(LOG_LEVEL) + 1);
  const options = { logLevels, compact: true, breakLength: Infinity };
  return NODE_ENV === 'production'
    ? new JsonLogger({ ...options, json: true, flattenParams: true, colors: false })
    : new ConsoleLogger({ ...options, colors: isatty(1) });
}

/** The same lines as Nest's in less time: a callback has three of them. */
class JsonLogger extends ConsoleLogger {
  private readonly output = new LineBuffer(process.stdout, cluster.isWorker ? FULL_WHERE_SHARED : undefined);

  protected override printAsJson(...[message, options]: Parameters<ConsoleLogger['printAsJson']>): void {
    if (options.writeStreamType === 'stderr') {
      this.output.flush();
      super.printAsJson(message, options);
    } else {
      this.output.write(`${this.stringifyJsonLogObject(this.getJsonLogObject(message, options))}\n`);
    }
  }

  protected override stringifyJsonLogObject(line: Record<string, unknown>): string {
    return isFlat(line) ? JSON.stringify(line) : super.stringifyJsonLogObject(line);
  }
}

/** Whether there is nothing in it that JSON.stringify could fail at, or write in another way than Nest does. */
function isFlat(line: Record<string, unknown>): boolean {
  return Object.values(line).every((value) => {
    if (typeof value === 'string') return value.length <= SHORT_TEXT;
    return value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean';
  });
}
