import {
  Get,
  Injectable,
  Logger,
  type MessageEvent,
  type OnModuleDestroy,
  Req,
  Res,
  ServiceUnavailableException,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import {
  catchError,
  defer,
  distinctUntilChanged,
  exhaustMap,
  filter,
  finalize,
  interval,
  map,
  merge,
  NEVER,
  type Observable,
  ReplaySubject,
  share,
  takeUntil,
  timer,
} from 'rxjs';
import { DataSource } from 'typeorm';
import { IS_OPEN, IS_OVERDUE } from '../fallback/sms-fallback-state.js';
import { AdminKeyGuard } from '../operations/admin-access.js';
import { type AdminSession, AdminSessions } from '../operations/admin-sessions.js';
import { DatabaseProblemFilter } from '../operations/operators-api.decorator.js';
import { InjectDatabase } from '../process/inject-database.js';
import { ServiceController } from '../process/service-controller.js';
import { TwilioOutages } from '../twilio/twilio-outages.js';

const LOOK_EVERY_MILLISECONDS = 2_000;

/** Whether the database answers, and a text that differs once there is something new. */
export interface Situation {
  readonly database: 'up' | 'away';
  readonly version: string;
}

/** Polls for changes, once for all open pages, and only while a page is open. */
@Injectable()
export class Changes implements OnModuleDestroy {
  private readonly logger = new Logger(Changes.name);
  private readonly ending = new ReplaySubject<void>(1);
  private version = '';

  /** Emits when the service is about to stop. */
  readonly end = this.ending.asObservable();

  /** The current situation, and every change of it. */
  readonly situations = timer(0, LOOK_EVERY_MILLISECONDS).pipe(
    // A slow database is not asked again before it answers.
    exhaustMap(() => this.look()),
    distinctUntilChanged((one, other) => one.database === other.database && one.version === other.version),
    takeUntil(this.ending),
    share({ connector: () => new ReplaySubject<Situation>(1) }),
  );

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
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
 * Uses the indexes on created_at, and sms_fallbacks_open_idx, which has few rows. It can miss rows that are committed
 * out of order, so the page also reloads every minute.
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

/** Each stream has its own connection, and a browser opens one per visible page. */
const MAXIMUM_STREAMS = 100;

const NONE = [new Set<string>()];

/** Shorter than the idle timeout of proxies, usually a minute. */
const SIGN_OF_LIFE_MILLISECONDS = 20_000;

/** After how long a browser reconnects when a stream has ended, in milliseconds. */
const RETRY_MILLISECONDS = 2_000;

/** The event streams of open pages. */
@Injectable()
export class ChangeStreams {
  private open = 0;

  /** Polled once for all streams, and only on replicas that have streams. */
  private readonly endedSessions = timer(0, LOOK_EVERY_MILLISECONDS).pipe(
    // Without the database, there is nothing to stream.
    exhaustMap(() => defer(() => this.sessions.endedIds()).pipe(catchError(() => NONE))),
    share(),
  );

  constructor(
    private readonly changes: Changes,
    private readonly sessions: AdminSessions,
  ) {}

  /**
   * Opens a stream that ends with the session or the service.
   * @throws ServiceUnavailableException if there are too many streams.
   */
  follow(session: AdminSession | null): Observable<MessageEvent> {
    if (this.open >= MAXIMUM_STREAMS) {
      throw new ServiceUnavailableException('Too many pages are open; this one retries automatically');
    }
    const situations = this.changes.situations.pipe(
      map((situation): MessageEvent => ({ type: 'situation', data: situation, retry: RETRY_MILLISECONDS })),
    );
    const signsOfLife = interval(SIGN_OF_LIFE_MILLISECONDS).pipe(
      map((): MessageEvent => ({ type: 'still_here', data: 'so is the service' })),
    );
    return defer(() => {
      this.open += 1;
      return merge(situations, signsOfLife).pipe(
        takeUntil(merge(this.changes.end, session === null ? NEVER : this.endOf(session))),
        finalize(() => {
          this.open -= 1;
        }),
      );
    });
  }

  private endOf({ id, endsAt }: AdminSession): Observable<unknown> {
    return merge(timer(endsAt), this.endedSessions.pipe(filter((ids) => ids.has(id))));
  }
}

/** Writes an event as EventSource reads it. Its data is written as JSON, which has no line breaks. */
function inLines({ type = '', data, retry }: MessageEvent): string {
  const pause = retry === undefined ? '' : `retry: ${retry}\n`;
  return `event: ${type}\n${pause}data: ${JSON.stringify(data)}\n\n`;
}

@UseGuards(AdminKeyGuard)
@UseFilters(DatabaseProblemFilter)
@ApiExcludeController()
@ServiceController('dashboard/events', 'stream')
export class ChangesController {
  constructor(
    private readonly streams: ChangeStreams,
    private readonly sessions: AdminSessions,
  ) {}

  /**
   * Signals changes to the page, which then asks the API for the data. Written without @Sse(), whose events pass through
   * the application's global interceptors.
   */
  @Get()
  follow(@Req() request: Request, @Res() response: Response): void {
    const session = this.sessions.read(request);
    const events = this.streams.follow(session === 'ended' ? null : session);
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    });
    response.flushHeaders();
    const following = events.subscribe({
      next: (event) => response.write(inLines(event)),
      error: () => response.end(),
      complete: () => response.end(),
    });
    response.once('close', () => {
      following.unsubscribe();
    });
  }
}
