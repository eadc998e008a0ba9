import { REPLICAS, type ReplicaName } from './fault-schedule.js';
import { Random } from './random.js';

/** When the address of the database leads to the new primary. */
const ADDRESS_WEIGHTS = { at_once: 35, late: 20, stale: 45 } as const;

/** How the old primary ends. */
const END_WEIGHTS = { killed: 55, silent: 25, stopped: 20 } as const;

export interface PlannedFailover {
  /**
   * `at_once`: the address leads to the new primary immediately after its promotion. `late`: a while after; until then
   * nothing listens.
   * `stale`: only when the old primary is back as a standby, to which the service is connected by then, or 4 s after
   * the promotion. Its connections stay open.
   */
  readonly address: keyof typeof ADDRESS_WEIGHTS;
  /**
   * `killed`: SIGKILL of all its processes. `silent`: the same, and its host does not even end the connections.
   * `stopped`: a shutdown, as in a planned switchover.
   */
  readonly end: keyof typeof END_WEIGHTS;
  /** Milliseconds with a redundant cluster before the failover begins. */
  readonly after: number;
  /** Milliseconds before the end in which the standby receives nothing, so that every commit waits for it. */
  readonly hangs: number;
  /** Milliseconds from the end to the promotion. */
  readonly unnoticed: number;
  /** Milliseconds from the promotion, or from the old primary's return as a standby, until the address leads to the new one. */
  readonly addressDelay: number;
  /** A replica that is killed with the primary, and started again at once; null: none. */
  readonly killedReplica: ReplicaName | null;
}

/** The failovers of a run, the first one first. The same seed gives the same failovers. */
export function scheduleFailovers(seed: number, count: number): PlannedFailover[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => chooseFailover(random));
}

function chooseFailover(random: Random): PlannedFailover {
  const address = random.weighted(ADDRESS_WEIGHTS);
  return {
    address,
    end: random.weighted(END_WEIGHTS),
    after: random.integer(2_000, 6_000),
    hangs: random.chance(0.35) ? random.integer(500, 6_000) : 0,
    unnoticed: random.integer(200, 3_000),
    addressDelay: address === 'at_once' ? 0 : random.integer(500, 4_000),
    killedReplica: random.chance(0.25) ? random.pick(REPLICAS) : null,
  };
}
