import { type ChaosOptions, readOptions, usage } from './options.js';
import { report } from './report.js';
import { ChaosRun } from './run-chaos.js';
import { World } from './world.js';

/** Exit codes: 0 where each count is 0, 1 where one is not, 2 where the run could not be made. */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interruption.abort(new Error(`Interrupted by ${signal}`));
    });
  }
  return runChaos(options, interruption.signal);
}

async function runChaos(options: ChaosOptions, interrupted: AbortSignal): Promise<number> {
  const startedAt = Date.now();
  const say = (text: string): void => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(7);
    process.stdout.write(`${seconds} s  ${text}\n`);
  };
  say('starting PostgreSQL, the fake Twilio and two replicas');
  const world = await World.start(options);
  let keepLogs = true;
  try {
    say(`logs are in ${world.folder}`);
    const { run, verdict } = await ChaosRun.play(world, options, interrupted, say);
    const isGood = [...verdict.values()].every((cases) => cases.length === 0);
    process.stdout.write(report(options, world, run, verdict));
    process.stdout.write(isGood ? '✔ Each count is 0.\n' : `✖ Logs: ${world.folder}\n`);
    keepLogs = options.keep || !isGood;
    return isGood ? 0 : 1;
  } finally {
    await world.close(keepLogs);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const isExpected =
    error instanceof TypeError || (error instanceof Error && error.message.startsWith('Interrupted'));
  process.stderr.write(
    `✖ ${error instanceof Error ? ((isExpected ? undefined : error.stack) ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 2;
}
