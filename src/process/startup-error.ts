/** A command or the service cannot go on, for a reason that the operator can remove. The message says how. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}

/** Tells the operator why the process ends, without a stack where the reason is known, and ends it with code 1. */
export function exitWithError(error: unknown): never {
  process.stderr.write(`✖ ${explain(error)}\n`);
  process.exit(1);
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'StartupError' || error.name === 'EnvironmentError') return error.message;
  return knownReason(error) ?? error.stack ?? error.message;
}

/** What an operator can do about an error of PostgreSQL; undefined where that is not known. */
export function knownReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== '42501') return undefined;
  return `The database does not allow it: ${error.message}. Grant it to the user of DATABASE_URL, or name another one.`;
}
