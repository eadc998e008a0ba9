import { Injectable, type MessageEvent, ServiceUnavailableException } from '@nestjs/common';
import {
  catchError,
  defer,
  exhaustMap,
  filter,
  finalize,
  interval,
  map,
  merge,
  NEVER,
  type Observable,
  share,
  takeUntil,
  timer,
} from 'rxjs';
import { type AdminSession, AdminSessions } from '../operations/admin-sessions.js';
import { Changes } from './changes.js';

/** Each stream has its own connection, and a browser opens one per visible page. */
const MAXIMUM_STREAMS = 100;

/** How long a stream may outlive a session that was signed out of. */
const LOOK_EVERY_MILLISECONDS = 2_000;

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
