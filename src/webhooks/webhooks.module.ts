import { Module } from '@nestjs/common';
import { Refusals } from '../process/refusals.js';
import { MessageStatusReportPipe } from './message-status-report.pipe.js';
import { MessageStatusController } from './message-status.controller.js';
import { RejectedCallbacksStore } from './rejected-callbacks.store.js';
import { TwilioSignatureGuard } from './twilio-signature.guard.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  type WebhooksModuleOptions,
} from './twilio-signature.js';
import { UnsignedWork } from './unsigned-work.js';

const refusals = {
  provide: Refusals,
  inject: [MODULE_OPTIONS_TOKEN],
  useFactory: ({ refusalsPerMinute }: WebhooksModuleOptions) =>
    new Refusals({
      limitPerMinute: refusalsPerMinute,
      message: '⛔ [WEBHOOK] Further refused requests from this address are not logged for a minute',
    }),
};

/** Pass a MessageEventsModule and a TwilioModule in `imports`. */
@Module({
  controllers: [MessageStatusController],
  providers: [TwilioSignatureGuard, refusals, MessageStatusReportPipe, RejectedCallbacksStore, UnsignedWork],
  // TwilioSignatureGuard needs these on another module's controller.
  exports: [MODULE_OPTIONS_TOKEN, Refusals, UnsignedWork],
})
export class WebhooksModule extends ConfigurableModuleClass {}
