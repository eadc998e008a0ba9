import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { isatty } from 'node:tty';
import type { Env } from '../config/env.js';

/** In UTF-16 units: what a pipe takes at once on Linux. */
const FULL = 64 * 1024;

/**
 * Writes the lines of one turn of the event loop together: standard output is written synchronously, and a system call
 * for each line costs more than the line. No line waits for longer than that turn, nor for another line. What is left
 * when the process exits, after an uncaught exception too, is written then; only a signal that ends the process at once
 * takes the lines of its last turn with it.
 */
export class LineBuffer {
  private lines = '';

  /**
   * @param stream standard output, whose writes to files and pipes are synchronous.
   * @param full how much is written at once.
   */
  constructor(
    private readonly stream: NodeJS.WritableStream,
    private readonly full = FULL,
  ) {
    process.on('exit', () => {
      this.flush();
    });
  }

  write(line: string): void {
    if (this.lines.length + line.length > this.full) this.flush();
    if (this.lines === '') {
      setImmediate(() => {
        this.flush();
      });
    }
    this.lines += line;
    if (this.lines.length >= this.full) this.flush();
  }

  flush(): void {
    if (this.lines === '') return;
    const lines = this.lines;
    this.lines = '';
    this.stream.write(lines);
  }
}

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
const KEPT_LINES = 200;

type Fields = Readonly<Record<string, unknown>>;

/** What each line has. Nest leaves out a field of the same name, or of one that every object has. */
const OWN_FIELDS = { level: 'log', pid: 0, timestamp: 0, message: '', context: '' };

/** The same lines as Nest's in less time: a callback has three of them. */
class JsonLogger extends ConsoleLogger {
  private readonly output = new LineBuffer(process.stdout);
  /** Of lines without fields, by their messages: only the time changes from one to the next. */
  private readonly kept = new Map<string, { readonly context: string; readonly rest: string }>();

  override log(message: unknown, ...optionalParams: unknown[]): void {
    if (!this.isLevelEnabled('log')) return;
    const rest = this.restOfLine(message, optionalParams);
    if (rest === undefined) super.log(message, ...optionalParams);
    else this.output.write(`{"level":"log","pid":${process.pid},"timestamp":${Date.now()},${rest}\n`);
  }

  /** @returns a line from the message on; undefined where it is left to Nest. */
  private restOfLine(message: unknown, optionalParams: readonly unknown[]): string | undefined {
    const context = optionalParams.at(-1);
    if (!isShortText(message) || !isShortText(context) || context === '') return undefined;
    switch (optionalParams.length) {
      case 1:
        return this.keptRest(message, context);
      case 2: {
        const fields = optionalParams[0];
        return isFlat(fields) ? restOf(message, context, fields) : undefined;
      }
      default:
        return undefined;
    }
  }

  private keptRest(message: string, context: string): string {
    const known = this.kept.get(message);
    if (known?.context === context) return known.rest;
    const rest = restOf(message, context, {});
    if (this.kept.size < KEPT_LINES) this.kept.set(message, { context, rest });
    return rest;
  }

  protected override printAsJson(...[message, options]: Parameters<ConsoleLogger['printAsJson']>): void {
    if (options.writeStreamType === 'stderr') {
      this.output.flush();
      super.printAsJson(message, options);
    } else {
      this.output.write(`${this.stringifyJsonLogObject(this.getJsonLogObject(message, options))}\n`);
    }
  }
}

function restOf(message: string, context: string, fields: Fields): string {
  return JSON.stringify({ message, context, ...fields }).slice(1);
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= SHORT_TEXT;
}

/** JSON.stringify begins with names of this kind, so that they would stand elsewhere than in Nest's line. */
const LIKE_INDEX = /^\d+$/;

/** Whether there is nothing in it that JSON.stringify could fail at, or write in another way than Nest does. */
function isFlat(fields: unknown): fields is Fields {
  if (typeof fields !== 'object' || fields === null) return false;
  if (Object.getPrototypeOf(fields) !== Object.prototype) return false;
  // Written out, since every callback comes by here: Object.entries() makes an array of arrays of them.
  for (const name in fields) {
    if (name in OWN_FIELDS || LIKE_INDEX.test(name)) return false;
    if (!isPlain((fields as Fields)[name])) return false;
  }
  return true;
}

function isPlain(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= SHORT_TEXT;
  return value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean';
}
