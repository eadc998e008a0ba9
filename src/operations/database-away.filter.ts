import { type ArgumentsHost, Catch, ServiceUnavailableException } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import type { Response } from 'express';

const RETRY_AFTER_SECONDS = 5;

/** SQLSTATE of a statement that took longer than `statement_timeout`. */
const QUERY_CANCELED = '57014';

/** PostgreSQL's connection exceptions and shutdowns, and the network's codes. */
const AWAY =
  /^(08...|53300|57P0.|ECONN.*|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$/;

/** Answers 503 where it is not the request's fault that the database has no answer. */
@Catch(Error)
export class DatabaseAwayFilter extends BaseExceptionFilter {
  override catch(error: Error, host: ArgumentsHost): void {
    const reason = explain(error);
    if (reason === null) {
      super.catch(error, host);
      return;
    }
    host.switchToHttp().getResponse<Response>().setHeader('Retry-After', RETRY_AFTER_SECONDS);
    super.catch(new ServiceUnavailableException(reason), host);
  }
}

function explain(error: Error): string | null {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === QUERY_CANCELED || message === 'Query read timeout') {
    return 'The database took too long: ask for less, e.g. for a shorter time';
  }
  const isAway =
    AWAY.test(code ?? '') || /^Connection terminated|timeout exceeded when trying to connect/.test(message);
  return isAway ? 'The database is away' : null;
}
