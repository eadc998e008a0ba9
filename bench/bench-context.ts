import type { Surroundings } from '../chaos/program.js';
import type { BenchOptions } from './options.js';
import type { Report } from './report/report.js';

/** The context of every measurement. */
export interface BenchContext extends Surroundings {
  readonly options: BenchOptions;
}

export type Measure = (context: BenchContext) => Promise<Report>;
