import { Logger } from '@nestjs/common';

/**
 * What libraries write to the console becomes lines of the log, in its form and at its level. graphile-worker writes
 * stacks there while the database is away, and tells its logger the same in a sentence.
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
