import type { Measurement } from '../measurement.js';
import type { BenchOptions } from '../options.js';
import { circumstances } from './report.js';

/** The content of results.json. */
export interface Results extends ReturnType<typeof circumstances> {
  readonly options: Pick<
    BenchOptions,
    'turns' | 'milliseconds' | 'warmUpMilliseconds' | 'connections' | 'manyConnections'
  >;
  /** Requests a second that the load generator can send to a server that does nothing. */
  readonly loadGenerator: number;
  readonly storedCallbacks: number;
  readonly measurements: readonly Measurement[];
}

export function resultsOf(
  { turns, milliseconds, warmUpMilliseconds, connections, manyConnections }: BenchOptions,
  postgresVersion: string,
  measured: Pick<Results, 'loadGenerator' | 'storedCallbacks' | 'measurements'>,
): Results {
  return {
    ...circumstances(postgresVersion),
    options: { turns, milliseconds, warmUpMilliseconds, connections, manyConnections },
    ...measured,
  };
}
