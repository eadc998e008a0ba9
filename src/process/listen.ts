import type { INestApplication } from '@nestjs/common';
import { StartupError } from './startup-error.js';

/**
 * Starts the application, and listens then. Apart, because the codes of an address that is no good are those of folders and
 * of the database's address, too.
 * @throws StartupError when it cannot listen there, and what to do about it.
 */
export async function listen(app: INestApplication, port: number, host: string): Promise<void> {
  await app.init();
  try {
    await app.listen(port, host);
  } catch (error) {
    const advice = adviceFor(error);
    throw advice === undefined ? error : new StartupError(advice, { cause: error });
  }
}

function adviceFor(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '', port } = error as NodeJS.ErrnoException & { port?: number };
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port ?? '?'} is in use. Stop what listens there, or set PORT.`;
    case 'EADDRNOTAVAIL':
    case 'EACCES':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `The service cannot listen there: ${error.message}. See HOST and PORT.`;
    default:
      return undefined;
  }
}
