import cluster from 'node:cluster';
import { envSchema } from './config/env.js';
import { parseEnv } from './config/parse-env.js';
import { loadEnvFile } from './config/load-env-file.js';
import { exitWithError } from './process/startup-error.js';

try {
  loadEnvFile();
  const env = parseEnv(process.env, envSchema);
  // Each loads only what it needs: the primary of several processes serves nothing itself.
  if (env.PROCESSES > 1 && cluster.isPrimary) {
    const { runProcesses } = await import('./cluster/run-processes.js');
    await runProcesses(env);
  } else {
    const { serve } = await import('./serve.js');
    await serve(env);
  }
} catch (error) {
  exitWithError(error);
}
