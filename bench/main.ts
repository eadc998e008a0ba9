import { runProgram, type Surroundings } from '../harness/program.js';
import { measureGrowth } from './growth.js';
import { measureLatency } from './latency.js';
import type { Measure } from './measurement.js';
import { measureOperators } from './operators.js';
import { type MeasurementName, readOptions, usage } from './options.js';
import { writeReport } from './report/report.js';
import { measureSoak } from './soak.js';
import { measureStorm } from './storm.js';
import { measureThroughput } from './throughput.js';
import { measureUnsigned } from './unsigned.js';

const MEASUREMENTS: Readonly<Record<MeasurementName, Measure>> = {
  throughput: measureThroughput,
  latency: measureLatency,
  growth: measureGrowth,
  operators: measureOperators,
  soak: measureSoak,
  unsigned: measureUnsigned,
  storm: measureStorm,
};

await runProgram(bench, 1);

async function bench(surroundings: Surroundings): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const measure = MEASUREMENTS[options.measurement];
  const report = await measure({ ...surroundings, options });
  surroundings.interrupted.throwIfAborted();
  process.stdout.write(report.text);
  await writeReport(options.out, report);
  process.stdout.write(`Written to ${options.out}: ${Object.keys(report.files).join(', ')}\n`);
  return 0;
}
