import {
  All,
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpCode,
  HttpException,
  HttpStatus,
  Logger,
  MethodNotAllowedException,
  Post,
  Req,
  Res,
  ServiceUnavailableException,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { EventNotStoredError, MessageEventsService } from '../message-events/message-events.service.js';
import type { MessageStatusReport } from '../message-events/message-status-report.js';
import { measured } from '../process/measurements.js';
import { Refusals } from '../process/refusals.js';
import { decorated, OwnErrorFilter, PlainController } from '../process/service-controller.js';
import { Callback } from './callback-request.js';
import { MessageStatusReportPipe } from './message-status-report.pipe.js';
import { StatusCallbacksOnly, TwilioSignatureGuard } from './twilio-signature.guard.js';
import { UnsignedWork } from './unsigned-work.js';

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

const POST_ONLY =
  'Twilio must send status callbacks to this URL by POST: choose "HTTP POST" next to the URL in the Console, or StatusCallbackMethod=POST in the API';

/** The path at which Twilio's callbacks arrive, below the application's prefix. */
export const WEBHOOK_PATH = 'api/webhooks/twilio/message-status';

@PlainController(WEBHOOK_PATH, 'webhook')
@StatusCallbacksOnly()
@UseFilters(OwnErrorFilter, EventNotStoredFilter)
export class MessageStatusController {
  /** Each line passes its own context: adding a logger's context would cost Nest a fifth of the time per line. */
  private readonly logger = new Logger();

  constructor(
    private readonly messageEvents: MessageEventsService,
    private readonly refusals: Refusals,
    private readonly unsigned: UnsignedWork,
  ) {}

  /**
   * Answers 204 after the commit, so every acknowledged callback is stored. It sends the answer itself: what a global
   * interceptor does later cannot make Twilio send the callback again.
   */
  @Post()
  @UseGuards(TwilioSignatureGuard)
  @HttpCode(HttpStatus.NO_CONTENT)
  async receive(
    @Callback(MessageStatusReportPipe) report: MessageStatusReport,
    @Res() response: Response,
  ): Promise<void> {
    const { id, repeated } = await this.messageEvents.record(report);
    const { messageSid, messageStatus, channel, errorCode } = report;
    measured('callback.answered', {
      channel,
      status: messageStatus,
      result: repeated ? 'repeated' : 'stored',
    });
    this.logger.log(
      `✅ [WEBHOOK] Message event logged: ${id}`,
      { messageSid, messageStatus, channel, errorCode: errorCode ?? undefined, repeated },
      MessageStatusController.name,
    );
    response.end();
  }

  /** Answers any other method without looking at the signature: a GET may come from a browser or a wrong setting. */
  @All()
  async refuseMethod(@Req() request: Request, @Res() response: Response): Promise<never> {
    await this.unsigned.untilAnswerable(request, response);
    const { method, headers, ip } = request;
    if (headers['x-twilio-signature'] !== undefined) {
      measured('callback.answered', { channel: null, status: null, result: 'refused' });
    }
    response.setHeader('Allow', 'POST');
    const retryAfterSeconds = await this.refusals.count(ip ?? '');
    if (retryAfterSeconds !== null) {
      response.setHeader('Retry-After', retryAfterSeconds);
      throw new HttpException(`Too many requests. ${POST_ONLY}`, HttpStatus.TOO_MANY_REQUESTS);
    }
    const reason = `it is a ${method}, not a POST. ${POST_ONLY}`;
    this.logger.warn('⛔ [WEBHOOK] Request refused', { reason, ip }, MessageStatusController.name);
    throw new MethodNotAllowedException(`This is a ${method}. ${POST_ONLY}`);
  }
}

/** The controller at another path, or with decorators of the application, e.g. one that its global guard asks for. */
export function webhookController(
  path: string = WEBHOOK_PATH,
  decorators: readonly ClassDecorator[] = [],
): typeof MessageStatusController {
  return decorated(MessageStatusController, [PlainController(path, 'webhook'), ...decorators]);
}
