import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  Logger,
  type NestInterceptor,
} from '@nestjs/common';
import { type Observable, tap } from 'rxjs';
import type { AdminRequest } from './admin-key.guard.js';

/** Leaves a line in the log for each answer with whole telephone numbers, which say who looked at them. */
@Injectable()
export class DisclosureInterceptor implements NestInterceptor {
  private readonly logger = new Logger(DisclosureInterceptor.name);

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { method, path, query, ip, adminKeyName } = context.switchToHttp().getRequest<AdminRequest>();
    return next.handle().pipe(
      tap(() => {
        if (query.numbers !== 'true') return;
        this.logger.warn('Whole telephone numbers were asked for', { key: adminKeyName, method, path, ip });
      }),
    );
  }
}
