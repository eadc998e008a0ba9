import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresServer } from '../harness/postgres-server.js';
import type { Disturbance } from './database-servers.js';
import { FAULT_DESCRIPTIONS, type FaultKind, SENDING_FAULTS, type SendingFaultKind } from './fault-kinds.js';
import type { ScheduledFault } from './fault-schedule.js';
import { line } from './report-line.js';
import type { World } from './world.js';

/** How often a fault was planned and carried out. A replica that is down at that moment cannot be killed. */
export interface FaultCount {
  planned: number;
  done: number;
}

/** Triggers each scheduled fault at its time. */
export class FaultInjector implements Disturbance {
  readonly counts = new Map<FaultKind, FaultCount>();
  readonly #underWay = new Set<Promise<void>>();
  /** Aborted with the first error of a fault. */
  readonly #failed = new AbortController();

  /** @param until ends every running fault. */
  constructor(
    private readonly world: World,
    private readonly postgres: PostgresServer,
    private readonly schedule: readonly ScheduledFault[],
    private readonly until: AbortSignal,
    private readonly say: (text: string) => void,
  ) {}

  get description(): string {
    return `${String(this.schedule.length)} faults`;
  }

  async run(): Promise<void> {
    const startedAt = Date.now();
    for (const fault of this.schedule) {
      await this.#wait(startedAt + fault.at - Date.now());
      if (this.until.aborted || this.#failed.signal.aborted) break;
      this.#begin(fault);
    }
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    const { aborted, reason: cause } = this.#failed.signal as { aborted: boolean; reason: unknown };
    if (aborted) throw new Error(`A fault could not be undone: ${String(cause)}`, { cause });
  }

  reportLines(): string[] {
    const counts = [...this.counts].sort(([, left], [, right]) => right.done - left.done);
    const lines = counts.map(([kind, { planned, done }]) =>
      line(FAULT_DESCRIPTIONS[kind], done, planned === done ? '' : `of ${String(planned)}`),
    );
    const total = counts.reduce((sum, [, { done }]) => sum + done, 0);
    return ['Faults', ...lines, line('all', total)];
  }

  verdict(): Promise<ReadonlyMap<string, readonly string[]>> {
    return Promise.resolve(new Map());
  }

  #begin(fault: ScheduledFault): void {
    const count = this.counts.get(fault.kind) ?? { planned: 0, done: 0 };
    this.counts.set(fault.kind, count);
    count.planned += 1;
    const happening = this.#happen(fault)
      .then((done) => {
        if (done) count.done += 1;
      })
      .catch((error: unknown) => {
        this.#failed.abort(error);
      })
      .finally(() => this.#underWay.delete(happening));
    this.#underWay.add(happening);
  }

  /** @returns false if the fault had no target. */
  async #happen(fault: ScheduledFault): Promise<boolean> {
    const { kind, duration, requests } = fault;
    const isOfSending = isSendingFault(kind);
    const where = fault.replica === null ? '' : ` ${fault.replica}`;
    const bound = isOfSending ? `, ${String(requests)} requests at the most` : '';
    this.say(`${FAULT_DESCRIPTIONS[kind]}${where} (${String(duration)} ms${bound})`);
    if (isOfSending) {
      const end = Date.now() + duration;
      const when = () => Date.now() < end;
      this.world.twilio.failNext({ on: 'create', times: requests, when, fault: SENDING_FAULTS[kind] });
      return true;
    }
    switch (kind) {
      case 'kill':
      case 'terminate':
      case 'freeze':
        return this.#befallReplica(kind, fault);
      case 'stop_postgres':
        // PostgreSQL may take long to start after the previous fault.
        if (this.postgres.isAway) return false;
        await this.postgres.stopAtOnce();
        await this.#wait(duration);
        await this.postgres.startAgain();
        return true;
      case 'cut_connections':
        this.world.connectionsCutAt = Date.now();
        await this.world.database.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where backend_type = 'client backend' and application_name <> 'chaos'`,
        );
        return true;
      case 'twilio_reads_fail':
        this.#failReads(duration);
        return true;
      case 'twilio_slow_list':
        return this.#delayList(duration);
    }
  }

  async #befallReplica(kind: 'kill' | 'terminate' | 'freeze', fault: ScheduledFault): Promise<boolean> {
    const replica = this.world.replicas.find(({ name }) => name === fault.replica);
    if (replica?.isRunning !== true) return false;
    if (kind === 'freeze') {
      replica.freeze();
      await this.#wait(fault.duration);
      replica.unfreeze();
      return true;
    }
    if (kind === 'kill') await replica.kill();
    else this.say(`replica ${replica.name} has stopped after ${String(await replica.stop())} ms`);
    await this.#wait(fault.duration);
    replica.start();
    return true;
  }

  #failReads(duration: number): void {
    const end = Date.now() + duration;
    const fault = { type: 'error', status: 500, code: 20500 } as const;
    for (const on of ['list', 'fetch'] as const) {
      this.world.twilio.failNext({ on, times: Infinity, when: () => Date.now() < end, fault });
    }
  }

  async #delayList(duration: number): Promise<boolean> {
    this.world.twilio.listDelayMilliseconds = duration;
    await this.#wait(duration * 2);
    this.world.twilio.listDelayMilliseconds = 0;
    return true;
  }

  async #wait(milliseconds: number): Promise<void> {
    const signal = AbortSignal.any([this.until, this.#failed.signal]);
    await delay(Math.max(0, milliseconds), undefined, { signal }).catch(() => undefined);
  }
}

function isSendingFault(kind: FaultKind): kind is SendingFaultKind {
  return kind in SENDING_FAULTS;
}
