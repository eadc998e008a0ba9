import type { ReplicaName } from './fault-schedule.js';

/** The PostgreSQL of a run: one server, or several of which one is the primary. */
export interface DatabaseServers {
  /** The application's URL, which always leads to the primary. */
  readonly url: string;
  /** DATABASE_URL of a replica. */
  serviceUrl(replica: ReplicaName): string;
  /** Whether the primary was unreachable for the service at any time since `time`, in milliseconds since 1970. */
  wasAwaySince(time: number): boolean;
  /** Stops everything, in any state. */
  close(): Promise<void>;
}

/** The disturbance of a run, and its part of the report. */
export interface Disturbance {
  /** E.g. `40 faults`. */
  readonly description: string;
  /** Resolves when the last fault is over. @throws an error that could not be undone. */
  run(): Promise<void>;
  /** Counts for the report. */
  reportLines(): string[];
  /** Findings in addition to the judge's. The replicas still run. */
  verdict(): Promise<ReadonlyMap<string, readonly string[]>>;
}
