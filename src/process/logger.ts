import { ConsoleLogger, Logger, type LogLevel } from '@nestjs/common';
import { isatty } from 'node:tty';
import type { Env } from '../config/env.js';

/** How much a pipe takes at once on Linux, in UTF-16 units. */
const FULL = 64 * 1024;

/**
 * Writes the lines of one turn of the event loop together. Writes to stdout are synchronous, and a system call per line
 * costs more than the line itself. A line never waits longer than that turn. The rest is written when the process
 * exits, also after an uncaught exception; only a signal that kills the process at once loses the last turn's lines.
 */
export class LineBuffer {
  private lines = '';

  /**
   * @param stream standard output, whose writes to files and pipes are synchronous.
   * @param full the size at which the lines are written before the turn ends.
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

/** Longer texts are left to Nest, which limits the length of a line. */
const SHORT_TEXT = 10_000;

/** Creates Nest's own logger. In production, it writes JSON with the fields at the top level. */
export function createLogger({ LOG_LEVEL, NODE_ENV }: Pick<Env, 'LOG_LEVEL' | 'NODE_ENV'>): ConsoleLogger {
  const logLevels = LEVELS.slice(0, LEVELS.indexOf(LOG_LEVEL) + 1);
  const options = { logLevels, compact: true, breakLength: Infinity };
  return NODE_ENV === 'production'
    ? new JsonLogger({ ...options, json: true, flattenParams: true, colors: false })
    : new ConsoleLogger({ ...options, colors: isatty(1) });
}

/** The maximum size of the cache. There are fewer messages without fields. */
const KEPT_LINES = 200;

type Fields = Readonly<Record<string, unknown>>;

/** The fields of every line. Nest drops other fields with these names, or with names that every object has. */
const OWN_FIELDS = { level: 'log', pid: 0, timestamp: 0, message: '', context: '' };

/** Writes the same lines as Nest's logger in less time: each callback logs three. */
class JsonLogger extends ConsoleLogger {
  private readonly output = new LineBuffer(process.stdout);
  /** A cache of lines without fields, by message: only their times differ. */
  private readonly kept = new Map<string, { readonly context: string; readonly rest: string }>();

  override log(message: unknown, ...optionalParams: unknown[]): void {
    if (!this.isLevelEnabled('log')) return;
    const rest = this.restOfLine(message, optionalParams);
    if (rest === undefined) super.log(message, ...optionalParams);
    else this.output.write(`{"level":"log","pid":${process.pid},"timestamp":${Date.now()},${rest}\n`);
  }

  /** @returns a line from the message on; undefined if Nest has to write it. */
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

/** JSON.stringify puts such names first, so they would be in another place than in Nest's line. */
const LIKE_INDEX = /^\d+$/;

/** Whether JSON.stringify writes all of it without failing, and exactly as Nest does. */
function isFlat(fields: unknown): fields is Fields {
  if (typeof fields !== 'object' || fields === null) return false;
  if (Object.getPrototypeOf(fields) !== Object.prototype) return false;
  // Every callback runs this, and Object.entries() would create an array of arrays.
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

/**
 * Logs what libraries write to the console. graphile-worker writes stacks there while the database is unreachable, and
 * passes the same to its logger in a sentence.
 */
export function logLibraryConsole(): void {
  const logger = new Logger('Console');
  console.trace = (...values: unknown[]) => {
    logger.debug(values.map(String).join(' '));
  };
  console.error = console.warn = (...values: unknown[]) => {
    logger.warn(values.map(String).join(' '));
  };
}
