import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { type Env, ENV } from './config/env.js';
import { setUpApiDocs } from './operations/api-docs.js';
import { limitShutdown, listen, PreparedExpressAdapter } from './process/express-server.js';
import { createLogger, logLibraryConsole } from './process/logger.js';

/** Configures the HTTP server. main.ts and the tests share it, so that both run the same application. */
export function configureApp(app: NestExpressApplication): NestExpressApplication {
  const env = app.get<Env>(ENV);
  // Signature checks use PUBLIC_BASE_URL if it is set; client addresses always come from the proxy.
  app.set('trust proxy', env.TRUST_PROXY);
  app.disable('x-powered-by');
  setUpApiDocs(app);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  return app;
}

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
