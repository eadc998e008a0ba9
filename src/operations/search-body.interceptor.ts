import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { json, type Request, type Response } from 'express';
import { promisify } from 'node:util';
import type { Observable } from 'rxjs';
import { bodyProblem } from './body-problem.js';

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
