export interface ProcessEnd {
  /** The name of the replica. */
  readonly name: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether it had started to answer. */
  readonly wasUp: boolean;
}

/** Records the ends of processes that were not killed. */
export class ReplicaEnds {
  readonly uncleanStops: string[] = [];
  readonly deaths: string[] = [];
  /** Starts that ended because the database was unreachable; a supervisor tries again. */
  refusedStarts = 0;
  slowestStopMilliseconds = 0;

  /** @param took the time from SIGTERM to the end, in milliseconds. */
  addStop(end: ProcessEnd, took: number, databaseWasAway: boolean): void {
    this.slowestStopMilliseconds = Math.max(this.slowestStopMilliseconds, took);
    if (isRefusedStart(end, databaseWasAway)) {
      this.refusedStarts += 1;
      return;
    }
    // Node itself ends on a signal before the program has started.
    const isClean = end.code === 0 || (!end.wasUp && end.signal === 'SIGTERM');
    if (!isClean) this.uncleanStops.push(`${describe(end)} ${String(took)} ms after SIGTERM`);
  }

  addOther(end: ProcessEnd, databaseWasAway: boolean): void {
    if (isRefusedStart(end, databaseWasAway)) this.refusedStarts += 1;
    else this.deaths.push(`${describe(end)} by itself at ${new Date().toISOString()}`);
  }
}

function isRefusedStart({ wasUp, code }: ProcessEnd, databaseWasAway: boolean): boolean {
  return !wasUp && code === 1 && databaseWasAway;
}

function describe({ name, code, signal }: ProcessEnd): string {
  return `replica ${name} ended with ${signal ?? String(code)}`;
}
