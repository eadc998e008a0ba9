import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import { Rounds } from '../rounds/rounds.js';
import { smsFallbackAttemptDue } from './sms-fallback-attempt-due.event.js';

const INTERVAL_MILLISECONDS = 60_000;

/** In one statement, so that its time is bounded. */
const BATCH = 100;

/**
 * Takes up fallbacks that are open and whose time has passed without anything being done: the job that was to go on with
 * them has used up its attempts, or somebody has emptied the queue. Otherwise they would stay open for ever.
 */
@Injectable()
export class StalledFallbacks implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(StalledFallbacks.name);
  private readonly rounds = new Rounds((signal) => this.runOnce(signal), {
    intervalMilliseconds: INTERVAL_MILLISECONDS,
    logger: this.logger,
    failure: 'Stalled fallbacks cannot be looked for now',
  });

  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {}

  onApplicationBootstrap(): void {
    this.rounds.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.rounds.stop();
  }

  /** @throws when the database is away. */
  async runOnce(signal?: AbortSignal): Promise<void> {
    let taken: number;
    do {
      taken = await this.takeUp();
      if (taken > 0) this.logger.warn('Stalled fallbacks are taken up again', { fallbacks: taken });
    } while (taken === BATCH && signal?.aborted !== true);
  }

  /** Replicas that look at the same time share them out. */
  private async takeUp(): Promise<number> {
    return this.dataSource.transaction(async (manager) => {
      const stalled = await manager.query<{ id: string }[]>(TAKE_UP, [BATCH]);
      const events = stalled.map(({ id }) => smsFallbackAttemptDue(id, new Date()));
      if (events.length > 0) await this.publisher.publish(manager, 'sms_fallback.attempt_due', events);
      return events.length;
    });
  }
}

/**
 * A job that failed a few times waits a few minutes; only later than that is a fallback stalled. The gaps grow with its
 * age, so that one which can never be worked on does not fill the queue.
 */
const TAKE_UP = `
with stalled as (
  select id from sms_fallbacks
   where state in ('claimed', 'sending', 'uncertain')
     and next_attempt_at < now() - interval '10 minutes'
     and next_attempt_at < now() - least((now() - coalesce(retried_at, created_at)) / 4, interval '1 hour')
     and (locked_until is null or locked_until < now())
   order by next_attempt_at limit $1
     for update skip locked
),
taken_up as (
  update sms_fallbacks set next_attempt_at = now(), updated_at = now() from stalled
   where sms_fallbacks.id = stalled.id
  returning sms_fallbacks.id
)
select id from taken_up`;
