import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, HttpStatus } from '@nestjs/common';
import type { Response } from 'express';
import { signInPage } from './sign-in-page.js';

/** Shows the form again with the problem. */
@Catch(HttpException)
export class SignInProblemFilter implements ExceptionFilter<HttpException> {
  catch(exception: HttpException, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const retryAfterSeconds = Number(response.getHeader('Retry-After') ?? 0);
    const problem = inWords(exception, retryAfterSeconds);
    response.status(exception.getStatus()).type('html').send(signInPage(problem));
  }
}

function inWords(exception: HttpException, retryAfterSeconds: number): string {
  const known: Readonly<Record<number, string>> = {
    [HttpStatus.UNAUTHORIZED]:
      'This is none of the keys of this service. Look at ADMIN_API_KEYS in its environment.',
    [HttpStatus.TOO_MANY_REQUESTS]: `There were too many wrong keys. The right one is let in at once; else wait ${retryAfterSeconds} seconds.`,
    [HttpStatus.FORBIDDEN]: 'The form was sent from another site. Give the key here.',
  };
  return known[exception.getStatus()] ?? exception.message;
}
