import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Measurement } from '../measurement.js';
import type { BenchOptions } from '../options.js';
import { chart } from './chart.js';

/** What is written to results.json. */
export interface Results {
  readonly date: string;
  readonly node: string;
  readonly processors: number;
  readonly options: Omit<BenchOptions, 'out'>;
  /** Requests a second that the load generator can send to a server that does nothing. */
  readonly loadGenerator: number;
  readonly storedCallbacks: number;
  readonly measurements: readonly Measurement[];
}

export function resultsOf(
  { turns, milliseconds, warmUpMilliseconds, connections }: BenchOptions,
  measured: Pick<Results, 'loadGenerator' | 'storedCallbacks' | 'measurements'>,
): Results {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    processors: availableParallelism(),
    options: { turns, milliseconds, warmUpMilliseconds, connections },
    ...measured,
  };
}

/** Writes results.json and chart.svg. */
export async function writeResults(folder: string, results: Results): Promise<void> {
  await mkdir(folder, { recursive: true });
  const json = JSON.stringify(results, roundedNumber, 2);
  await writeFile(join(folder, 'results.json'), `${json}\n`);
  await writeFile(join(folder, 'chart.svg'), chart(results.measurements));
}

/** More digits than four would pretend to be known. */
function roundedNumber(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}
