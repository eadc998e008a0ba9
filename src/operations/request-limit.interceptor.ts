import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  ServiceUnavailableException,
} from '@nestjs/common';
import pLimit from 'p-limit';
import { from, lastValueFrom, type Observable } from 'rxjs';

/**
 * Concurrent calls. Each uses one of the process's ten connections at a time, for at most three seconds; the others are
 * for callbacks and jobs.
 */
const AT_WORK = 4;

/** Calls that wait for their turn; a page makes about six at a time. */
const WAITING = 100;

/** Keeps database connections free for callbacks, however many calls operators make at once. */
@Injectable()
export class RequestLimitInterceptor implements NestInterceptor {
  private readonly limit = pLimit(AT_WORK);

  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (this.limit.pendingCount >= WAITING) {
      throw new ServiceUnavailableException('Too many calls at once: try again in a few seconds');
    }
    return from(this.limit(() => lastValueFrom(next.handle(), { defaultValue: undefined })));
  }
}
