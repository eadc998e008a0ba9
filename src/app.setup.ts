import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Env } from './config/env.js';
import { ENV } from './config/env.module.js';
import { setUpApiDocs } from './operations/api-docs.js';

/** What the service needs of its HTTP server. main.ts and the tests both use it, so that they run one application. */
export function configureApp(app: NestExpressApplication): NestExpressApplication {
  const env = app.get<Env>(ENV);
  // Signatures are checked against PUBLIC_BASE_URL if it is set; the clients' addresses are the proxy's word in any case.
  app.set('trust proxy', env.TRUST_PROXY);
  app.disable('x-powered-by');
  setUpApiDocs(app);
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  return app;
}
