import { Injectable, type MessageEvent, ServiceUnavailableException } from '@nestjs/common';
import { defer, finalize, interval, map, merge, NEVER, type Observable, takeUntil, timer } from 'rxjs';
import { Changes } from './changes.js';

/** Each has a connection for itself, and a browser one for each page that somebody looks at. */
const MAXIMUM_STREAMS = 100;

/** Shorter than the time after which proxies take a silent connection for dead, usually a minute. */
const SIGN_OF_LIFE_MILLISECONDS = 20_000;

/** After which a browser asks again where a stream has ended, in milliseconds. */
const RETRY_MILLISECONDS = 2_000;

/** What pages that are open listen to. */
@Injectable()
export class ChangeStreams {
  private open = 0;

  constructor(private readonly changes: Changes) {}

  /**
   * A stream that ends with the session, or with the service.
   * @throws ServiceUnavailableException where there are too many.
   */
  follow(endsAt: Date | null): Observable<MessageEvent> {
    if (this.open >= MAXIMUM_STREAMS) {
      throw new ServiceUnavailableException('Too many pages are open; this one asks again by itself');
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
        takeUntil(merge(this.changes.end, endsAt === null ? NEVER : timer(endsAt))),
        finalize(() => {
          this.open -= 1;
        }),
      );
    });
  }
}
