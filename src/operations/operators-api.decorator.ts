import {
  applyDecorators,
  type ArgumentsHost,
  BadRequestException,
  type CallHandler,
  Catch,
  type ExecutionContext,
  type HttpException,
  Injectable,
  InternalServerErrorException,
  Logger,
  type NestInterceptor,
  ServiceUnavailableException,
  StandardSchemaValidationPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import {
  ApiBadRequestResponse,
  ApiBearerAuth,
  ApiTags,
  ApiTooManyRequestsResponse,
  ApiUnauthorizedResponse,
} from '@nestjs/swagger';
import type { Response } from 'express';
import pLimit from 'p-limit';
import { from, lastValueFrom, type Observable, tap } from 'rxjs';
import { QueryFailedError } from 'typeorm';
import { OwnErrorFilter, ServiceController } from '../process/service-controller.js';
import { AdminKeyGuard, type AdminRequest } from './admin-access.js';

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

const RETRY_AFTER_SECONDS = 5;

/** SQLSTATE of a statement that exceeded `statement_timeout`. */
const QUERY_CANCELED = '57014';

/**
 * SQLSTATEs of a text that is not a value of the column's type, e.g. a company id of another type, and of a text with
 * U+0000, which PostgreSQL cannot store.
 */
const INVALID_TEXT = ['22P02', '22021'];

/** The class of SQLSTATEs that are about a value. */
const DATA_EXCEPTION = '22';

/** PostgreSQL's connection exceptions and shutdowns, a read-only server, and network error codes. */
const AWAY =
  /^(08...|25006|53300|57P0.|ECONN.*|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$/;

/** Answers 503 with Retry-After if the database cannot answer, and 400 if the request's values are the cause. */
@Catch(Error)
export class DatabaseProblemFilter extends OwnErrorFilter {
  private readonly logger = new Logger(DatabaseProblemFilter.name);

  protected override explain(error: Error, host: ArgumentsHost): Error {
    const exception =
      explain(error) ?? (error instanceof QueryFailedError ? this.tell(error as QueryFailedError) : error);
    if (exception instanceof ServiceUnavailableException) {
      host.switchToHttp().getResponse<Response>().setHeader('Retry-After', RETRY_AFTER_SECONDS);
    }
    return exception;
  }

  /** Nest would also log the statement's parameters, including the phone number of a search. */
  private tell({ message, driverError }: QueryFailedError): HttpException {
    const { code } = driverError as { code?: unknown };
    // Messages about a value quote it.
    const error = String(code).startsWith(DATA_EXCEPTION) ? undefined : message;
    this.logger.error('The database refused a statement of the API', { code, error });
    return new InternalServerErrorException();
  }
}

function explain(error: Error): HttpException | null {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (INVALID_TEXT.includes(code)) {
    return new BadRequestException('A parameter does not match the type in the database');
  }
  if (code === QUERY_CANCELED || message === 'Query read timeout') {
    return new ServiceUnavailableException(
      'The query took too long: ask for less, e.g. a shorter time range',
    );
  }
  const isAway =
    AWAY.test(code) || /^Connection terminated|timeout exceeded when trying to connect/.test(message);
  return isAway ? new ServiceUnavailableException('Database unreachable') : null;
}

/** A controller of the API below api/v1, with access control, error handling, and its documentation. */
export function OperatorsApi(path: string, tag: string): ClassDecorator {
  return applyDecorators(
    ServiceController(`api/v1/${path}`, 'api'),
    UseGuards(AdminKeyGuard),
    UseInterceptors(RequestLimitInterceptor, DisclosureInterceptor),
    UsePipes(StandardSchemaValidationPipe),
    UseFilters(DatabaseProblemFilter),
    ApiTags(tag),
    ApiBearerAuth(),
    ApiBadRequestResponse({ description: 'A parameter is invalid; the message says which' }),
    ApiUnauthorizedResponse({ description: 'The key is missing or wrong' }),
    ApiTooManyRequestsResponse({ description: 'Too many requests without a valid key; see Retry-After' }),
  );
}
