import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpStatus,
  Logger,
  ServiceUnavailableException,
} from '@nestjs/common';
import type { Response } from 'express';
import { measured } from '../measurements/measurements.js';
import { EventNotStoredError } from '../message-events/message-events.service.js';

/** In seconds. With `#rc=5&rp=all` Twilio retries on its own, within 15 s. */
const RETRY_AFTER_SECONDS = 5;

/** While the database is unreachable, every callback fails; the log says so once a second. */
const LOG_INTERVAL_MILLISECONDS = 1_000;

/** Answers 503: what is not stored is not acknowledged. */
@Catch(EventNotStoredError)
export class EventNotStoredFilter implements ExceptionFilter<EventNotStoredError> {
  private readonly logger = new Logger('Webhook');
  private nextLogAt = 0;
  private unlogged = 0;

  catch(error: EventNotStoredError, host: ArgumentsHost): void {
    this.log(error);
    measured('callback.answered', { channel: null, status: null, result: 'not_stored' });
    const exception = new ServiceUnavailableException(
      'The callback could not be stored. Please send it again.',
    );
    host
      .switchToHttp()
      .getResponse<Response>()
      .status(HttpStatus.SERVICE_UNAVAILABLE)
      .setHeader('Retry-After', RETRY_AFTER_SECONDS)
      .json(exception.getResponse());
  }

  private log({ cause }: EventNotStoredError): void {
    this.unlogged += 1;
    if (Date.now() < this.nextLogAt) return;
    this.logger.error('⛔ [WEBHOOK] Callbacks answered 503, because they could not be stored', {
      callbacks: this.unlogged,
      error: cause instanceof Error ? cause.message : String(cause),
    });
    this.nextLogAt = Date.now() + LOG_INTERVAL_MILLISECONDS;
    this.unlogged = 0;
  }
}
