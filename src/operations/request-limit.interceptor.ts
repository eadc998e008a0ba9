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
 * Calls at work at once. Each has one of the process's ten connections at a time, for three seconds at the worst; the
 * others are the callbacks' and the jobs'.
 */
const AT_WORK = 4;

/** Calls that wait for their turn; a page makes some six at a time. */
const WAITING = 100;

/** However much operators ask for at once, there are connections to the database for callbacks. */
@Injectable()
export class RequestLimitInterceptor implements NestInterceptor {
  private readonly limit = pLimit(AT_WORK);

  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (this.limit.pendingCount >= WAITING) {
      throw new ServiceUnavailableException('Too many calls at once: ask again in some seconds');
    }
    return from(this.limit(() => lastValueFrom(next.handle(), { defaultValue: undefined })));
  }
}
