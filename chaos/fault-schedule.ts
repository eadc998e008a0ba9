import { FAULT_WEIGHTS, type FaultKind } from './fault-kinds.js';
import { Random } from './random.js';

export const REPLICAS = ['A', 'B'] as const;

export type ReplicaName = (typeof REPLICAS)[number];

export interface ScheduledFault {
  /** Milliseconds after the start of the load. */
  readonly at: number;
  readonly kind: FaultKind;
  /** The target of a fault of a replica. */
  readonly replica: ReplicaName | null;
  /** Milliseconds: until a replica or PostgreSQL is started again, or as long as Twilio has the fault. */
  readonly duration: number;
  /** The maximum number of requests that a fault of Twilio affects. */
  readonly requests: number;
}

const GAP = { least: 1_000, most: 5_000 };

/** The approximate time of a start, and the limit of a SIGTERM: until then a process gets no other fault. */
const START_MILLISECONDS = 2_500;
const TERMINATION_MILLISECONDS = 10_000;

/** Milliseconds: how long a fault lasts. */
const DURATIONS: Readonly<Partial<Record<FaultKind, readonly [number, number]>>> = {
  kill: [100, 4_000],
  terminate: [100, 3_000],
  // Less than the 15 s of its lock that a worker needs to have when it sends.
  freeze: [500, 8_000],
  stop_postgres: [200, 6_000],
  cut_connections: [0, 0],
  // Less than the settling time of 30 s.
  twilio_slow_list: [5_000, 15_000],
};

/** Plans the faults of a run in order. The same seed gives the same faults. */
export function scheduleFaults(seed: number, milliseconds: number): ScheduledFault[] {
  const random = new Random(seed);
  const busyUntil = new Map<string, number>();
  const faults: ScheduledFault[] = [];
  let at = random.between(GAP.least, GAP.most);
  while (at < milliseconds) {
    faults.push(chooseFault(random, Math.round(at), busyUntil));
    at += random.between(GAP.least, GAP.most);
  }
  return faults;
}

function chooseFault(random: Random, at: number, busyUntil: Map<string, number>): ScheduledFault {
  for (;;) {
    const kind = random.weighted(FAULT_WEIGHTS);
    const replica = isOfReplica(kind) ? random.pick(REPLICAS) : null;
    const [least, most] = DURATIONS[kind] ?? [1_000, 8_000];
    const duration = Math.round(random.between(least, most));
    const requests = random.integer(1, 12);
    const victim = replica ?? (kind === 'stop_postgres' ? 'postgres' : null);
    // Each process has one fault at a time, but different processes may have faults at once.
    if (victim !== null && (busyUntil.get(victim) ?? 0) > at) continue;
    if (victim !== null) busyUntil.set(victim, at + duration + settlingTime(kind));
    return { at, kind, replica, duration, requests };
  }
}

function isOfReplica(kind: FaultKind): boolean {
  return kind === 'kill' || kind === 'terminate' || kind === 'freeze';
}

function settlingTime(kind: FaultKind): number {
  if (kind === 'terminate') return TERMINATION_MILLISECONDS + START_MILLISECONDS;
  return kind === 'freeze' ? 0 : START_MILLISECONDS;
}
