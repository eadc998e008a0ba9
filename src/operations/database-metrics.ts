import { Injectable, Logger } from '@nestjs/common';
import { Gauge, type Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { JobQueueInspection } from '../domain-events/job-queue-inspection.js';
import { IS_OPEN, IS_OVERDUE } from '../fallback/sms-fallback-state.js';
import { followingDelay } from '../follower/event-outbox.js';
import { InjectDatabase } from '../process/inject-database.js';
import { type Outage, TwilioOutages } from '../twilio/twilio-outages.js';
import { FallbackRecords } from './fallback-records.js';
import { type Backlog, SenderPaces } from './fallback-retries.js';

/** The prefix of this service's own metrics. */
export const PREFIX = 'whatsapp_sms_fallback_';

/** Counting stops here: so many open fallbacks need attention anyway. */
const COUNTED_FALLBACKS = 100_000;

/** The fields that are read of node-postgres' pool, which TypeORM does not type. */
const pooled = z.object({
  master: z.object({ totalCount: z.number(), idleCount: z.number(), waitingCount: z.number() }),
});

interface OpenRow {
  state: string;
  reason: string | null;
  open: number;
  overdue: number;
}

/**
 * Reads metrics from the database on each scrape. All replicas report the same values, except for the pool: take the
 * maximum over the replicas, not the sum.
 */
@Injectable()
export class DatabaseMetrics {
  private readonly logger = new Logger(DatabaseMetrics.name);
  private readonly up = gauge('database_up', 'Whether the database answered for these metrics');
  private readonly open = gauge('fallbacks_open', 'Open fallbacks', ['state', 'reason']);
  private readonly overdue = gauge(
    'fallbacks_overdue',
    'Open fallbacks whose SMS has been due for more than 15 minutes, however often it was tried',
  );
  private readonly waiting = gauge('jobs_waiting', 'Jobs that are due and that no worker has taken');
  private readonly oldest = gauge('oldest_job_age_seconds', 'How long the first of them has been waiting');
  private readonly exhausted = gauge('jobs_exhausted', 'Jobs that have used up their attempts');
  private readonly uncounted = gauge(
    'oldest_uncounted_event_age_seconds',
    'Age of the oldest event that is not counted yet; messages.status, statistics and RETENTION_DAYS wait for it',
  );
  private readonly paced = gauge(
    'fallbacks_waiting_for_sender',
    'Fallbacks that wait for the pace of their sender',
  );
  private readonly drain = gauge(
    'seconds_to_drain',
    'How long it takes at the present rates until the waiting jobs are taken and the SMS of all senders are sent',
  );
  private readonly slowed = gauge(
    'senders_slowed_down',
    'Senders that Twilio has refused for sending too fast, and that have not recovered yet',
  );
  private readonly outage = gauge(
    'twilio_outage',
    '1 while an account cannot use Twilio, and why; no sample while it can',
    ['account', 'reason'],
  );
  private readonly outageAge = gauge(
    'twilio_outage_age_seconds',
    'How long requests of the account have been failing',
    ['account', 'reason'],
  );
  private readonly connections = gauge(
    'database_connections',
    'Connections of this replica: busy, idle, and requests that wait for one',
    ['state'],
  );
  private refreshing: Promise<void> | undefined;

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly jobQueue: JobQueueInspection,
    private readonly outages: TwilioOutages,
    private readonly paces: SenderPaces,
    private readonly fallbacks: FallbackRecords,
  ) {}

  register(registry: Registry): void {
    const { up, open, overdue, waiting, oldest, exhausted, uncounted, outage, outageAge, connections } = this;
    const jobs = [waiting, oldest, exhausted];
    const pace = [this.paced, this.drain, this.slowed];
    for (const metric of [up, open, overdue, ...jobs, ...pace, uncounted, outage, outageAge, connections]) {
      registry.registerMetric(metric);
    }
  }

  /** Never rejects: while the database is down, the other metrics are needed most. */
  async refresh(): Promise<void> {
    this.refreshing ??= this.read().finally(() => {
      this.refreshing = undefined;
    });
    await this.refreshing;
  }

  private async read(): Promise<void> {
    this.readPool();
    try {
      const rows = await this.dataSource.query<OpenRow[]>(OPEN);
      const jobs = await this.jobQueue.look();
      const delay = await followingDelay(this.dataSource);
      this.tellOutages(await this.outages.list());
      this.tellPace(await this.paces.look(), await this.fallbacks.secondsToDrain(jobs.waiting));
      this.open.reset();
      for (const { state, reason, open } of rows) this.open.set({ state, reason: reason ?? '' }, open);
      this.overdue.set(rows.reduce((total, { overdue }) => total + overdue, 0));
      this.waiting.set(jobs.waiting);
      this.oldest.set(jobs.oldestAgeSeconds);
      this.exhausted.set(jobs.exhausted);
      this.uncounted.set(delay);
      this.up.set(1);
    } catch (error) {
      this.up.set(0);
      this.logger.debug('The database has no answer for the metrics', { error: String(error) });
    }
  }

  private tellPace({ waiting, secondsToDrain, senders }: Backlog, ofJobs: number | null): void {
    this.paced.set(waiting);
    this.drain.set(Math.max(secondsToDrain, ofJobs ?? 0));
    this.slowed.set(senders.filter(({ slowedBy }) => slowedBy !== null).length);
  }

  private tellOutages(outages: readonly Outage[]): void {
    this.outage.reset();
    this.outageAge.reset();
    for (const { accountSid: account, reason, ageSeconds } of outages) {
      this.outage.set({ account, reason }, 1);
      this.outageAge.set({ account, reason }, ageSeconds);
    }
  }

  private readPool(): void {
    const { success, data } = pooled.safeParse(this.dataSource.driver);
    if (!success) return;
    const { totalCount, idleCount, waitingCount } = data.master;
    this.connections.set({ state: 'busy' }, totalCount - idleCount);
    this.connections.set({ state: 'idle' }, idleCount);
    this.connections.set({ state: 'waiting' }, waitingCount);
  }
}

/** Uses sms_fallbacks_open_idx, which has only open fallbacks. */
const OPEN = `
with open as (
  select state, reason, created_at, retried_at, due_since from sms_fallbacks
   where ${IS_OPEN} limit ${COUNTED_FALLBACKS}
)
select state, reason, count(*)::int as open,
       (count(*) filter (where ${IS_OVERDUE}))::int as overdue
  from open group by state, reason`;

function gauge(name: string, help: string, labelNames: string[] = []): Gauge {
  return new Gauge({ name: PREFIX + name, help, labelNames, registers: [] });
}
