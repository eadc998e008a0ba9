import {
  type ArgumentsHost,
  BadRequestException,
  Catch,
  type HttpException,
  InternalServerErrorException,
  Logger,
  ServiceUnavailableException,
} from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import type { Response } from 'express';
import { QueryFailedError } from 'typeorm';

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
export class DatabaseProblemFilter extends BaseExceptionFilter {
  private readonly logger = new Logger(DatabaseProblemFilter.name);

  override catch(error: Error, host: ArgumentsHost): void {
    const exception =
      explain(error) ?? (error instanceof QueryFailedError ? this.tell(error as QueryFailedError) : error);
    if (exception instanceof ServiceUnavailableException) {
      host.switchToHttp().getResponse<Response>().setHeader('Retry-After', RETRY_AFTER_SECONDS);
    }
    super.catch(exception, host);
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
