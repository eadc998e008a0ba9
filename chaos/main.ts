import { type ChaosOptions, readOptions, usage } from './options.js';
import { report } from './report.js';
import { ChaosRun } from './run-chaos.js';
import { World } from './world.js';

/** The command line asks for something that cannot be done. The message says what. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Ended from outside, which is no fault of the program. */
class Interruption extends Error {
  override readonly name = 'Interruption';
}

const interruption = new AbortController();

/** Exit codes: 0 where each count is 0, 1 where one is not, 2 where the run could not be made. */
async function main(): Promise<number> {
  const options = readArguments();
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interruption.abort(new Interruption(`Interrupted by ${signal}`));
    });
  }
  // A reader such as `head` has seen enough.
  process.stdout.on('error', () => {
    interruption.abort(new Interruption('Interrupted: nobody reads any more what is printed'));
  });
  return runChaos(options, interruption.signal);
}

function readArguments(): ChaosOptions | undefined {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
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
  // Ctrl-C in the terminal also ends the programs of PostgreSQL that are at work: what fails then is not the reason.
  const reason: unknown = interruption.signal.aborted ? interruption.signal.reason : error;
  process.stderr.write(`✖ ${inWords(reason)}\n`);
  process.exitCode = 2;
}

/** Without a stack where the message tells all; anything else is a fault of the program, and its stack is wanted. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof UsageError || error instanceof Interruption) return error.message;
  return error.stack ?? error.message;
}
