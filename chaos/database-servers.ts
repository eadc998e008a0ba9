import type { ReplicaName } from './fault-schedule.js';

/** The PostgreSQL of a run: one server, or several of which one is the primary. */
export interface DatabaseServers {
  /** Of the application, which must never be wrong: it always leads to the primary. */
  readonly url: string;
  /** DATABASE_URL of a replica. */
  serviceUrl(replica: ReplicaName): string;
  /** Whether the service could not reach the primary at some time since then, in milliseconds since 1970. */
  wasAwaySince(time: number): boolean;
  /** Leaves nothing running, whatever state it is in. */
  close(): Promise<void>;
}

/** What goes wrong during a run, and what is to be said of it at the end. */
export interface Disturbance {
  /** As in `40 faults`. */
  readonly description: string;
  /** Resolves when the last thing that went wrong is over. @throws what could not be undone. */
  run(): Promise<void>;
  /** Counts for the report. */
  reportLines(): string[];
  /** What is wrong, in addition to what the judge counts. The replicas still run. */
  verdict(): Promise<ReadonlyMap<string, readonly string[]>>;
}
