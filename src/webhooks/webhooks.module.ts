import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import { Refusals } from '../process/refusals.js';
import { HOST_OPTIONS, HostApplication } from './host-application.js';
import { MessageStatusReportPipe } from './message-status-report.pipe.js';
import { webhookController } from './message-status.controller.js';
import { RejectedCallbacksStore } from './rejected-callbacks.store.js';
import { TwilioSignatureGuard } from './twilio-signature.guard.js';
import { MODULE_OPTIONS_TOKEN, type WebhooksModuleOptions } from './twilio-signature.js';
import { UnsignedWork } from './unsigned-work.js';

/** Where the webhook is in the application. It is fixed before anything is created. */
export interface WebhookPlace {
  /** The webhook's path, without a slash at its beginning. Default `api/webhooks/twilio/message-status`. */
  path?: string;
  /**
   * Decorators of the webhook's controller, e.g. one with which the application's global guard lets requests without a
   * user pass. Give an empty list if no global guard refuses Twilio's requests.
   */
  decorators?: readonly ClassDecorator[];
}

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<WebhooksModuleOptions>({
  optionsInjectionToken: MODULE_OPTIONS_TOKEN,
})
  .setClassMethodName('forRoot')
  .setExtras<WebhookPlace>({}, (definition, { path, decorators }) => {
    const controller = webhookController(path, decorators);
    const hostOptions = { controller, hasDecorators: decorators !== undefined };
    return {
      ...definition,
      controllers: [controller],
      providers: [...(definition.providers ?? []), { provide: HOST_OPTIONS, useValue: hostOptions }],
    };
  })
  .build();

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
  providers: [
    HostApplication,
    TwilioSignatureGuard,
    refusals,
    MessageStatusReportPipe,
    RejectedCallbacksStore,
    UnsignedWork,
  ],
  // TwilioSignatureGuard needs these on another module's controller.
  exports: [MODULE_OPTIONS_TOKEN, Refusals, UnsignedWork],
})
export class WebhooksModule extends ConfigurableModuleClass {}
