import { Logger } from '@nestjs/common';

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
