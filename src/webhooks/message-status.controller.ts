import { Controller, HttpCode, HttpStatus, Logger, Post, UseFilters, UseGuards } from '@nestjs/common';
import { measured } from '../measurements/measurements.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import type { MessageStatusReport } from '../message-events/message-status-report.js';
import { Callback } from './callback-request.js';
import { EventNotStoredFilter } from './event-not-stored.filter.js';
import { MessageStatusReportPipe } from './message-status-report.pipe.js';
import { TwilioSignatureGuard } from './twilio-signature.guard.js';

@Controller('api/webhooks/twilio')
@UseGuards(TwilioSignatureGuard)
@UseFilters(EventNotStoredFilter)
export class MessageStatusController {
  /** Each line is given its context: to add a logger's own takes Nest a fifth of the time of all that a line takes. */
  private readonly logger = new Logger();

  constructor(private readonly messageEvents: MessageEventsService) {}

  /** Answers 204 after the commit, so what is acknowledged is kept. */
  @Post('message-status')
  @HttpCode(HttpStatus.NO_CONTENT)
  async receive(@Callback(MessageStatusReportPipe) report: MessageStatusReport): Promise<void> {
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
  }
}
