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
    [HttpStatus.UNAUTHORIZED]: 'Wrong key. See ADMIN_API_KEYS in the environment of the service.',
    [HttpStatus.TOO_MANY_REQUESTS]: `Too many wrong keys. A valid key still works at once; otherwise wait ${retryAfterSeconds} seconds.`,
    [HttpStatus.FORBIDDEN]: 'The form was sent from another site. Enter the key here.',
  };
  return known[exception.getStatus()] ?? exception.message;
}
