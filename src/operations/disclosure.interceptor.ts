import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  Logger,
  type NestInterceptor,
} from '@nestjs/common';
import { type Observable, tap } from 'rxjs';
import type { AdminRequest } from './admin-key.guard.js';

/** Logs each answer with whole phone numbers, and whose key asked for it. */
@Injectable()
export class DisclosureInterceptor implements NestInterceptor {
  private readonly logger = new Logger(DisclosureInterceptor.name);

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<AdminRequest>();
    const { method, path, ip, adminKeyName } = request;
    return next.handle().pipe(
      tap(() => {
        if (!asksForNumbers(request)) return;
        this.logger.warn('Whole telephone numbers were asked for', { key: adminKeyName, method, path, ip });
      }),
    );
  }
}

/** Runs after the validation of the body, if the route takes one. */
function asksForNumbers({ query, body }: AdminRequest): boolean {
  return query.numbers === 'true' || (body as { numbers?: unknown } | undefined)?.numbers === true;
}
