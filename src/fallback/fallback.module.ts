import { Module } from '@nestjs/common';
import { FallbackOutcomes } from './fallback-outcomes.js';
import { FallbackListener } from './fallback.listener.js';
import { ConfigurableModuleClass } from './fallback.module-definition.js';
import { FallbackService } from './fallback.service.js';
import { FallbackStore } from './fallback.store.js';
import { SentSmsStore } from './sent-sms.store.js';
import { SmsComposer, SmsSenders } from './sms-composer.js';
import { SmsFinder } from './sms-finder.js';
import { SmsMessages } from './sms-messages.js';
import { SmsOutcomes } from './sms-outcomes.js';
import { SmsSender } from './sms-sender.js';
import { StalledFallbacks } from './stalled-fallbacks.js';
import { SmsTexts, TemplateContent } from './template-content.js';
import { TwilioSmsSender } from './twilio-sms-sender.js';

/** Pass a DomainEventsModule, a TwilioModule, a MessageEventsModule, a FollowerModule and a MessagesModule in `imports`. */
@Module({
  providers: [
    FallbackListener,
    FallbackOutcomes,
    FallbackService,
    FallbackStore,
    SentSmsStore,
    SmsComposer,
    SmsFinder,
    SmsMessages,
    SmsOutcomes,
    SmsSenders,
    SmsTexts,
    TemplateContent,
    StalledFallbacks,
    { provide: SmsSender, useClass: TwilioSmsSender },
  ],
})
export class FallbackModule extends ConfigurableModuleClass {}
