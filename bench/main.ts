import { withBenchWorld } from './bench-world.js';
import { summarize } from './measurement.js';
import { type BenchOptions, readOptions, usage } from './options.js';
import { type Results, resultsOf, writeResults } from './report/results.js';
import { table } from './report/table.js';
import { BenchRun } from './run-bench.js';

/** More than any contender stores in a second: a turn does not end for want of callbacks. */
const CALLBACKS_PER_SECOND = 10_000;

const LEAST_CALLBACKS = 20_000;

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
    return;
  }
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interruption.abort(new Error(`Interrupted by ${signal}`));
    });
  }
  const results = await measure(options, interruption.signal);
  process.stdout.write(table(results));
  await writeResults(options.out, results);
  process.stdout.write(`Written to ${options.out}: results.json, chart.svg\n`);
}

async function measure(options: BenchOptions, interrupted: AbortSignal): Promise<Results> {
  const startedAt = Date.now();
  const say = (text: string): void => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(7);
    process.stdout.write(`${seconds} s  ${text}\n`);
  };
  const callbacks = Math.max(
    LEAST_CALLBACKS,
    Math.ceil((options.milliseconds / 1000) * CALLBACKS_PER_SECOND),
  );
  return withBenchWorld({ callbacks, say }, async (world) => {
    const run = new BenchRun(world, options, interrupted, say);
    say('measuring the load generator, and warming up');
    const loadGenerator = await run.measureLoadGenerator();
    await run.warmUp();
    await run.run();
    const { turns, storedCallbacks } = run;
    const measurements = [...summarize(turns, 'kept'), ...summarize(turns, 'new')];
    return resultsOf(options, { loadGenerator, storedCallbacks, measurements });
  });
}

try {
  await main();
} catch (error) {
  // What the user can read something in; anything else is a fault of the program, and its stack is wanted.
  const isExpected =
    error instanceof TypeError || (error instanceof Error && error.message.startsWith('Interrupted'));
  const text =
    error instanceof Error ? ((isExpected ? undefined : error.stack) ?? error.message) : String(error);
  process.stderr.write(`✖ ${text}\n`);
  process.exitCode = 1;
}
