import { type ChaosOptions, readOptions, usage } from './options.js';
import { runProgram, type Surroundings } from './program.js';
import { report } from './report.js';
import { ChaosRun } from './run-chaos.js';
import { World } from './world.js';

await runProgram(chaos, 2);

/** Exit codes: 0 where each count is 0, 1 where one is not, 2 where the run could not be made. */
async function chaos(surroundings: Surroundings): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options !== undefined) return runChaos(options, surroundings);
  process.stdout.write(usage);
  return 0;
}

async function runChaos(options: ChaosOptions, { interrupted, say }: Surroundings): Promise<number> {
  say('starting PostgreSQL, the fake Twilio and two replicas');
  const world = await World.start(options);
  let keepLogs = true;
  try {
    say(`logs are in ${world.folder}`);
    const { run, verdict, evidence } = await ChaosRun.play(world, options, interrupted, say);
    const isGood = [...verdict.values()].every((cases) => cases.length === 0);
    process.stdout.write(report({ options, world, run, verdict, evidence }));
    process.stdout.write(isGood ? '✔ Each count is 0.\n' : `✖ Logs: ${world.folder}\n`);
    keepLogs = options.keep || !isGood;
    return isGood ? 0 : 1;
  } finally {
    await world.close(keepLogs);
  }
}
