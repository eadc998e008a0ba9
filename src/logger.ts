import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { isatty } from 'node:tty';
import type { Env } from './config/env.js';

const LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'];

/** Nest's own logger: lines for people, and JSON with the fields at the root in production. */
export function createLogger({ LOG_LEVEL, NODE_ENV }: Pick<Env, 'LOG_LEVEL' | 'NODE_ENV'>): ConsoleLogger {
  const json = NODE_ENV === 'production';
  return new ConsoleLogger({
    logLevels: LEVELS.slice(0, LEVELS.indexOf(LOG_LEVEL) + 1),
    json,
    flattenParams: json,
    colors: !json && isatty(1),
    compact: true,
    breakLength: Infinity,
  });
}
