import { asksForDetails } from '../config/parse-env.js';

/** An error that the operator can fix. The message says how. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}

/** Prints why the process ends, and ends it with code 1. */
export function exitWithError(error: unknown): never {
  process.stderr.write(`✖ ${inWords(error)}\n`);
  process.exit(1);
}

/** Describes an error for operators. Only LOG_LEVEL=debug shows the stack of an unexpected error. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'StartupError' || error.name === 'EnvironmentError') return error.message;
  const reason = knownReason(error);
  if (reason !== undefined) return reason;
  if (asksForDetails()) return error.stack ?? error.message;
  return `Unexpected error: ${messageOf(error) || error.name}. Set LOG_LEVEL=debug to see the stack.`;
}

/** Returns the first message of an AggregateError, whose own is empty: all addresses of a host name failed. */
function messageOf(error: Error): string {
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return (first instanceof Error ? first.message : error.message).replace(/\.$/, '');
}

/** Says what an operator can do about an error of PostgreSQL; undefined if that is unknown. */
export function knownReason(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '' } = error as NodeJS.ErrnoException;
  if (
    /^(ECONNRESET|ECONNREFUSED|EPIPE|57P0[123])$/.test(code) ||
    /^Connection terminated/.test(error.message)
  ) {
    return `The database cannot be reached now: ${error.message}. Start again once it takes connections.`;
  }
  if (code !== '42501') return undefined;
  return `The database refused: ${error.message}. Grant the permission to the user of DATABASE_URL, or use another one.`;
}
