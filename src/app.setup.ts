import type { NestExpressApplication } from '@nestjs/platform-express';
import { type Env, ENV } from './config/env.js';
import { setUpApiDocs } from './operations/api-docs.js';

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
