import { Injectable, Module } from '@nestjs/common';
import { OnDomainEvent } from '../domain-events/on-domain-event.decorator.js';
import type { SmsNeverSent } from '../message-events/message-status-report.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import { FallbackOutcomes } from './fallback-outcomes.js';
import type { SmsFallbackAttemptDue, SmsFallbackMessageMissing } from './fallback.events.js';
import { ConfigurableModuleClass } from './fallback.module-definition.js';
import { FallbackService } from './fallback.service.js';
import { FallbackStore } from './fallback.store.js';
import { SmsComposer, SmsSenders } from './sms-composer.js';
import { SmsFinder } from './sms-finder.js';
import { SmsMessages } from './sms-messages.js';
import { SmsOutcomes } from './sms-outcomes.js';
import { SmsSender } from './sms-sender.js';
import { StalledFallbacks } from './stalled-fallbacks.js';
import { SmsTexts, TemplateContent } from './template-content.js';
import { TwilioSmsSender } from './twilio-sms-sender.js';

@Injectable()
export class FallbackListener {
  constructor(
    private readonly fallbacks: FallbackService,
    private readonly smsMessages: SmsMessages,
  ) {}

  @OnDomainEvent('whatsapp.policy_failed')
  async onPolicyFailed(event: WhatsappPolicyFailed): Promise<void> {
    await this.fallbacks.start(event);
  }

  @OnDomainEvent('sms.never_sent')
  async onNeverSent(event: SmsNeverSent): Promise<void> {
    await this.fallbacks.resend(event);
  }

  @OnDomainEvent('sms_fallback.attempt_due')
  async onAttemptDue({ smsFallbackId }: SmsFallbackAttemptDue): Promise<void> {
    await this.fallbacks.attempt(smsFallbackId);
  }

  @OnDomainEvent('sms_fallback.message_missing')
  async onMessageMissing({ smsFallbackId }: SmsFallbackMessageMissing): Promise<void> {
    await this.smsMessages.addMissing(smsFallbackId);
  }
}

/** Pass a DomainEventsModule, a TwilioModule, a MessageEventsModule, a FollowerModule and a MessagesModule in `imports`. */
@Module({
  providers: [
    FallbackListener,
    FallbackOutcomes,
    FallbackService,
    FallbackStore,
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
