import type { BenchOptions } from './options.js';
import type { Report } from './report/report.js';

/** What every measurement gets. */
export interface BenchContext {
  readonly options: BenchOptions;
  /** Aborted by Ctrl-C; whatever was started is ended then. */
  readonly interrupted: AbortSignal;
  /** Tells the person who waits what is going on. */
  readonly say: (text: string) => void;
}

export type Measure = (context: BenchContext) => Promise<Report>;
