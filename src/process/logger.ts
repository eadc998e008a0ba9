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

/** More than there are messages without fields. */
const KEPT_ENDS = 200;

/** The same lines as Nest's in less time: a callback has three of them. */
class JsonLogger extends ConsoleLogger {
  private readonly output = new LineBuffer(process.stdout, cluster.isWorker ? FULL_WHERE_SHARED : undefined);
  /** Of lines without fields, from the message on: only the time changes from one to the next. */
  private readonly ends = new Map<string, string>();

  override log(message: unknown, ...optionalParams: unknown[]): void {
    const [context, ...others] = optionalParams;
    if (typeof message !== 'string' || typeof context !== 'string' || context === '' || others.length > 0) {
      super.log(message, ...optionalParams);
    } else if (this.isLevelEnabled('log')) {
      const end = this.endOfLine(message, context);
      this.output.write(`{"level":"log","pid":${process.pid},"timestamp":${Date.now()},${end}\n`);
    }
  }

  private endOfLine(message: string, context: string): string {
    const key = `${context} ${message}`;
    const known = this.ends.get(key);
    if (known !== undefined) return known;
    const end = this.stringifyJsonLogObject({ message, context }).slice(1);
    if (this.ends.size < KEPT_ENDS && end.length <= SHORT_TEXT) this.ends.set(key, end);
    return end;
  }

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
