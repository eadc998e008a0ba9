import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { distinctUntilChanged, exhaustMap, ReplaySubject, share, takeUntil, timer } from 'rxjs';
import { DataSource } from 'typeorm';
import { IS_OPEN, IS_OVERDUE } from '../fallback/sms-fallback-state.js';
import { TwilioOutages } from '../twilio/twilio-outages.js';

const LOOK_EVERY_MILLISECONDS = 2_000;

/** What the page is told: whether the database answers, and a text that is another one once there is something new. */
export interface Situation {
  readonly database: 'up' | 'away';
  readonly version: string;
}

/** Looks for what is new, once for all pages that are open, and not at all while there is none. */
@Injectable()
export class Changes implements OnModuleDestroy {
  private readonly logger = new Logger(Changes.name);
  private readonly ending = new ReplaySubject<void>(1);
  private version = '';

  /** Emits when the service is about to end. */
  readonly end = this.ending.asObservable();

  /** The situation now, and each other one from then on. */
  readonly situations = timer(0, LOOK_EVERY_MILLISECONDS).pipe(
    // While the database is slow to answer, it is not asked more.
    exhaustMap(() => this.look()),
    distinctUntilChanged((one, other) => one.database === other.database && one.version === other.version),
    takeUntil(this.ending),
    share({ connector: () => new ReplaySubject<Situation>(1) }),
  );

  constructor(
    private readonly dataSource: DataSource,
    private readonly outages: TwilioOutages,
  ) {}

  onModuleDestroy(): void {
    this.ending.next();
  }

  private async look(): Promise<Situation> {
    try {
      const newest = await this.dataSource.query<unknown>(NEWEST);
      const outages = await this.outages.list();
      const accounts = outages.map(({ accountSid, reason }) => `${accountSid} ${reason}`);
      this.version = JSON.stringify([newest, accounts]);
      return { database: 'up', version: this.version };
    } catch (error) {
      this.logger.debug('The database has no answer for the page', { error: String(error) });
      return { database: 'away', version: this.version };
    }
  }
}

/**
 * By the indexes on created_at, and sms_fallbacks_open_idx, which has few rows. What is committed out of turn can be
 * missed, so the page asks each minute, too.
 */
const NEWEST = `
with open as (
  select updated_at, created_at, retried_at, due_since from sms_fallbacks
   where ${IS_OPEN} limit 10000
)
select (select id from message_events order by created_at desc limit 1) as event,
       (select id from sms_fallbacks order by created_at desc limit 1) as fallback,
       count(*)::int as open, max(updated_at) as updated,
       (count(*) filter (where ${IS_OVERDUE}))::int as overdue
  from open`;
