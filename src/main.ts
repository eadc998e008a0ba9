import { envSchema } from './config/env.js';
import { loadEnvFile, parseEnv } from './config/parse-env.js';
import { exitWithError } from './process/startup-error.js';

try {
  // Most starts have no arguments, so the parser is loaded only if there are some.
  if (process.argv.length > 2) process.exit(await answerArguments());
  loadEnvFile();
  const env = parseEnv(process.env, envSchema);
  // Loaded last, so that a wrong variable is reported at once.
  const { serve } = await import('./app.setup.js');
  await serve(env);
} catch (error) {
  exitWithError(error);
}

/** Answers command-line arguments; the service accepts --help only. @returns the exit code. */
async function answerArguments(): Promise<number> {
  const [{ Command }, { execute }] = await Promise.all([
    import('commander'),
    import('./process/command-line.js'),
  ]);
  const terminal = { print: console.log, complain: console.error };
  const build = () =>
    new Command('node dist/src/main.js')
      .description(
        'The service. It takes no options: environment variables configure it, see .env.example. ' +
          'SIGTERM and Ctrl-C stop it once the current work is done.',
      )
      .addHelpText('after', '\nExit codes: 0 ended, 1 it cannot start, 2 wrong usage.');
  return execute(build, process.argv.slice(2), terminal);
}
