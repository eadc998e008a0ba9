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
  const { code = '', address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port ?? '?'} is in use. Stop what listens there, or set PORT.`;
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'ETIMEDOUT':
      return `The database at ${address ?? 'DATABASE_URL'}${port === undefined ? '' : `:${port}`} cannot be reached (${code}). Is it running, and is DATABASE_URL right?`;
    case '28P01':
    case '28000':
    case '3D000':
      return `The database refuses DATABASE_URL: ${error.message}`;
    default:
      return error.stack ?? error.message;
  }
}
