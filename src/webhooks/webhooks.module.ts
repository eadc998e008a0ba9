import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { CallbackBodyMiddleware } from './callback-body.middleware.js';
import { MessageStatusController } from './message-status.controller.js';
import { MessageStatusReportPipe } from './message-status-report.pipe.js';
import { RefusedRequests } from './refused-requests.js';
import { RejectedCallbacksStore } from './rejected-callbacks.store.js';
import { TwilioSignatureGuard } from './twilio-signature.guard.js';
import { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } from './webhooks.module-definition.js';

/** Give it a MessageEventsModule and a TwilioModule in `imports`. */
@Module({
  controllers: [MessageStatusController],
  providers: [TwilioSignatureGuard, RefusedRequests, MessageStatusReportPipe, RejectedCallbacksStore],
  // What TwilioSignatureGuard needs on another module's controller.
  exports: [MODULE_OPTIONS_TOKEN, RefusedRequests],
})
export class WebhooksModule extends ConfigurableModuleClass implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(CallbackBodyMiddleware).forRoutes(MessageStatusController);
  }
}
