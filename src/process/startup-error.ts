import { asksForDetails } from '../config/load-env-file.js';

/** A command or the service cannot go on, for a reason that the operator can remove. The message says how. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}

/** Tells the operator why the process ends, without a stack where the reason is known, and ends it with code 1. */
export function exitWithError(error: unknown): never {
  process.stderr.write(`✖ ${inWords(error)}\n`);
  process.exit(1);
}

/** An error for people. A stack helps nobody but a developer: LOG_LEVEL=debug shows that of an unexpected error. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'StartupError' || error.name === 'EnvironmentError') return error.message;
  const reason = knownReason(error);
  if (reason !== undefined) return reason;
  if (asksForDetails()) return error.stack ?? error.message;
  return `Unexpected: ${messageOf(error) || error.name}. LOG_LEVEL=debug shows where.`;
}

/** The attempts at several addresses of one name fail as one AggregateError, whose message is empty. */
function messageOf(error: Error): string {
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return (first instanceof Error ? first.message : error.message).replace(/\.$/, '');
}

/** What an operator can do about an error of PostgreSQL; undefined where that is not known. */
export function knownReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== '42501') return undefined;
  return `The database does not allow it: ${error.message}. Grant it to the user of DATABASE_URL, or name another one.`;
}
