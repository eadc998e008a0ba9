import type { Measure } from './bench-context.js';
import { measureGrowth } from './growth.js';
import { measureLatency } from './latency.js';
import { measureOperators } from './operators.js';
import { type MeasurementName, readOptions, usage, UsageError } from './options.js';
import { writeReport } from './report/report.js';
import { measureSoak } from './soak.js';
import { measureThroughput } from './throughput.js';

const MEASUREMENTS: Readonly<Record<MeasurementName, Measure>> = {
  throughput: measureThroughput,
  latency: measureLatency,
  growth: measureGrowth,
  operators: measureOperators,
  soak: measureSoak,
};

/** Ended from outside, which is no fault of the program. */
class Interruption extends Error {
  override readonly name = 'Interruption';
}

const interruption = new AbortController();

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
    return;
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
  // It would end this program alone, and leave running what was started.
  process.on('uncaughtException', (error) => {
    interruption.abort(error);
  });
  const startedAt = Date.now();
  const say = (text: string): void => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(7);
    process.stdout.write(`${seconds} s  ${text}\n`);
  };
  const measure = MEASUREMENTS[options.measurement];
  const report = await measure({ options, interrupted: interruption.signal, say });
  interruption.signal.throwIfAborted();
  process.stdout.write(report.text);
  await writeReport(options.out, report);
  process.stdout.write(`Written to ${options.out}: ${Object.keys(report.files).join(', ')}\n`);
}

try {
  await main();
} catch (error) {
  // Ctrl-C in the terminal also ends the programs of PostgreSQL that are at work: what fails then is not the reason.
  const reason: unknown = interruption.signal.aborted ? interruption.signal.reason : error;
  process.stderr.write(`✖ ${inWords(reason)}\n`);
  process.exitCode = 1;
}

/** Without a stack where the message tells all; anything else is a fault of the program, and its stack is wanted. */
function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof UsageError || error instanceof Interruption) return error.message;
  return error.stack ?? error.message;
}
