import type { Measure } from './bench-context.js';
import { measureGrowth } from './growth.js';
import { measureLatency } from './latency.js';
import { measureOperators } from './operators.js';
import { type MeasurementName, readOptions, usage } from './options.js';
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
  const startedAt = Date.now();
  const say = (text: string): void => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(7);
    process.stdout.write(`${seconds} s  ${text}\n`);
  };
  const measure = MEASUREMENTS[options.measurement];
  const report = await measure({ options, interrupted: interruption.signal, say });
  process.stdout.write(report.text);
  await writeReport(options.out, report);
  process.stdout.write(`Written to ${options.out}: ${Object.keys(report.files).join(', ')}\n`);
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
