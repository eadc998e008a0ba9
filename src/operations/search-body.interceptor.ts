import {
  BadRequestException,
  type CallHandler,
  type ExecutionContext,
  type HttpException,
  HttpStatus,
  Injectable,
  type NestInterceptor,
  PayloadTooLargeException,
  UnsupportedMediaTypeException,
} from '@nestjs/common';
import { json, type Request, type Response } from 'express';
import { promisify } from 'node:util';
import type { Observable } from 'rxjs';

/**
 * Converts an error of Express's body parsers without quoting the body, which may contain a phone number or a key:
 * their error has the whole body, and V8's message about JSON quotes from it.
 */
export function bodyProblem(error: unknown): HttpException {
  switch ((error as { status?: unknown } | null)?.status) {
    case HttpStatus.PAYLOAD_TOO_LARGE:
      return new PayloadTooLargeException('The body is too long');
    case HttpStatus.UNSUPPORTED_MEDIA_TYPE:
      return new UnsupportedMediaTypeException('The body is in an encoding that is not supported');
    default:
      return new BadRequestException('The body cannot be read');
  }
}

/** A search has a few conditions only. */
const read = promisify<Request, Response>(json({ limit: '4kb' }));

/**
 * Reads the JSON of a search after the guard, so that callers without a key get the same answer whatever the body is,
 * and do not learn that the route exists. It runs before RequestLimitInterceptor, because a client may take minutes to
 * send the body.
 */
@Injectable()
export class SearchBodyInterceptor implements NestInterceptor {
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    // Lists ignore the body.
    if (request.method === 'POST') {
      await read(request, http.getResponse<Response>()).catch((error: unknown) => {
        throw bodyProblem(error);
      });
    }
    return next.handle();
  }
}
