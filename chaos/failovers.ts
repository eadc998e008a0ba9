import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseServers, Disturbance } from './database-servers.js';
import type { PlannedFailover } from './failover-schedule.js';
import { RecoveryWatch } from './recovery-watch.js';
import { line } from './report-line.js';
import type { World } from './world.js';

/** The times of a failover, in milliseconds since 1970. */
export interface Moments {
  /** When the old primary ended. */
  readonly endedAt: number;
  readonly promotedAt: number;
  /** When new connections began to reach the new primary by each address of the service. */
  readonly reachableAt: number;
}

export type FailoverCounts = readonly (readonly [name: string, count: number])[];

/** Servers that can replace one another. */
export interface FailoverServers extends DatabaseServers {
  /** Counts for the report. */
  counts(): FailoverCounts;
  /** Describes a failover. */
  describe(plan: PlannedFailover): string;
  /** Resolves when the service can reach the new primary. */
  failOver(plan: PlannedFailover): Promise<Moments>;
  /** Resolves when there is a synchronous standby again. */
  repair(): Promise<void>;
  /** Connections of the service to servers that are read-only. */
  findWrongConnections(): Promise<string[]>;
}

export interface Recovery extends Moments {
  /** When everything worked again, in milliseconds since 1970; Infinity: never. */
  readonly recoveredAt: number;
}

/** The time limit of the service from the promotion, in milliseconds. */
const RECOVERY_LIMIT_MILLISECONDS = 10_000;

const WRONG_CONNECTIONS_LIMIT_MILLISECONDS = 30_000;

/** Runs failovers one after the other, each from a cluster that is redundant again. */
export class Failovers implements Disturbance {
  readonly #recoveries: Recovery[] = [];
  readonly #slow: string[] = [];

  constructor(
    private readonly world: World,
    private readonly servers: FailoverServers,
    private readonly plans: readonly PlannedFailover[],
    private readonly until: AbortSignal,
    private readonly say: (text: string) => void,
  ) {}

  get description(): string {
    return `${String(this.plans.length)} failovers`;
  }

  async run(): Promise<void> {
    for (const [index, plan] of this.plans.entries()) {
      await delay(plan.after, undefined, { signal: this.until }).catch(() => undefined);
      if (this.until.aborted) return;
      await this.#failOver(`failover ${String(index + 1)}`, plan);
    }
  }

  async #failOver(name: string, plan: PlannedFailover): Promise<void> {
    this.say(`${name}: ${this.servers.describe(plan)}`);
    const replica = this.world.replicas.find((each) => each.name === plan.killedReplica);
    const restart = replica?.kill().then(() => {
      replica.start();
    });
    const watch = new RecoveryWatch(this.world);
    try {
      const moments = await this.servers.failOver(plan);
      const [recoveredAt] = await Promise.all([
        watch.recoveredAfter(moments, this.until),
        this.servers.repair(),
        restart,
      ]);
      if (!this.until.aborted || Number.isFinite(recoveredAt)) this.#note(name, { ...moments, recoveredAt });
    } finally {
      watch.close();
    }
  }

  #note(name: string, recovery: Recovery): void {
    const { recoveredAt, promotedAt, reachableAt } = recovery;
    this.#recoveries.push(recovery);
    const text =
      `${name}: worked ${seconds(recoveredAt - reachableAt)} s after the primary could be reached, ` +
      `${seconds(recoveredAt - promotedAt)} s after the promotion`;
    this.say(text);
    if (recoveredAt - promotedAt > RECOVERY_LIMIT_MILLISECONDS) this.#slow.push(text);
  }

  reportLines(): string[] {
    const sinceReachable = this.#recoveries.map(({ recoveredAt, reachableAt }) => recoveredAt - reachableAt);
    const sincePromotion = this.#recoveries.map(({ recoveredAt, promotedAt }) => recoveredAt - promotedAt);
    return [
      'Failovers',
      line('failovers', this.#recoveries.length),
      ...this.servers.counts().map(([name, count]) => line(name, count)),
      line('seconds from reachable to 204 and SMS, min / median / max', spread(sinceReachable)),
      line('seconds from promotion to 204 and SMS, min / median / max', spread(sincePromotion)),
    ];
  }

  async verdict(): Promise<ReadonlyMap<string, readonly string[]>> {
    return new Map([
      ['recoveries over 10 s after the promotion', this.#slow],
      ['connections left to a server that is read-only', await this.#wrongConnections()],
    ]);
  }

  /** Finds wrong connections that remain, since a pool closes its idle ones. */
  async #wrongConnections(): Promise<string[]> {
    const end = Date.now() + WRONG_CONNECTIONS_LIMIT_MILLISECONDS;
    for (;;) {
      const found = await this.servers.findWrongConnections();
      if (found.length === 0 || Date.now() > end) return found;
      await delay(500);
    }
  }
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (index: number) => seconds(sorted[Math.floor(index)] ?? NaN);
  return [at(0), at(sorted.length / 2), at(sorted.length - 1)].join(' / ');
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
