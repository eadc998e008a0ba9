import { Logger } from '@nestjs/common';
import type { Server, ServerResponse } from 'node:http';

/** Jobs have a limit of their own, 8 s. What is still under way then is not acknowledged, so nothing is lost. */
const CONNECTIONS_LIMIT_MILLISECONDS = 9_000;

/** `docker stop` kills after 10 s. */
const PROCESS_LIMIT_MILLISECONDS = 9_500;

/** Bounds the time from a signal to the end of the process, whatever a client or the database does. */
export function limitShutdown(server: Server): void {
  const logger = new Logger('Service');
  const begin = (signal: NodeJS.Signals): void => {
    logger.log('Shutting down', { signal });
    // Node lets a connection live for as long as its client has another request for it.
    server.prependListener('request', (_request, response: ServerResponse) => {
      response.shouldKeepAlive = false;
    });
    setTimeout(() => {
      server.closeAllConnections();
    }, CONNECTIONS_LIMIT_MILLISECONDS).unref();
    setTimeout(() => {
      logger.error('The shutdown took too long and is cut short');
      process.exit(1);
    }, PROCESS_LIMIT_MILLISECONDS).unref();
  };
  process.once('SIGTERM', begin);
  process.once('SIGINT', begin);
}
