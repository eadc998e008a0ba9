import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { json, type Request, type Response } from 'express';
import { promisify } from 'node:util';
import type { Observable } from 'rxjs';
import { bodyProblem } from './body-problem.js';

/** A few conditions. */
const read = promisify<Request, Response>(json({ limit: '4kb' }));

/**
 * Reads the JSON of a search, after the guard: who is not let in is answered so, whatever the body is, and nobody learns
 * from another answer that there is something to search. Before RequestLimitInterceptor: a client may take minutes for it.
 */
@Injectable()
export class SearchBodyInterceptor implements NestInterceptor {
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    // Nobody looks at the body of a list.
    if (request.method === 'POST') {
      await read(request, http.getResponse<Response>()).catch((error: unknown) => {
        throw bodyProblem(error);
      });
    }
    return next.handle();
  }
}
