import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { configureApp } from './app.setup.js';
import type { Env } from './config/env.js';
import { limitShutdown, listen, PreparedExpressAdapter } from './process/express-server.js';
import { logLibraryConsole } from './process/library-console.js';
import { createLogger } from './process/logger.js';

/**
 * Runs the service in this process: create, configure, listen.
 * @throws StartupError if it cannot start for a reason that the operator can fix.
 */
export async function serve(env: Env): Promise<void> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule, new PreparedExpressAdapter(), {
    logger: createLogger(env),
    bodyParser: false,
    abortOnError: false,
    // A failed start is explained in one message, instead of Nest's own with a stack.
    bufferLogs: true,
    autoFlushLogs: false,
  });
  logLibraryConsole();
  limitShutdown(app.getHttpServer());
  await listen(configureApp(app), env.PORT, env.HOST);
  app.flushLogs();
  new Logger('Service').log('Listening', { url: await app.getUrl() });
}
