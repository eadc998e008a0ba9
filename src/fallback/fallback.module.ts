import { Injectable, Logger, Module, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { OnDomainEvent } from '../domain-events/on-domain-event.decorator.js';
import { type Followed, Follower, type LogConsumer, type News } from '../follower/follower.js';
import type { SmsNeverSent } from '../message-events/message-status-report.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import { FallbackOutcomes } from './fallback-outcomes.js';
import type { SmsFallbackAttemptDue } from './fallback.events.js';
import { ConfigurableModuleClass } from './fallback.module-definition.js';
import { FallbackService } from './fallback.service.js';
import { FallbackStore } from './fallback.store.js';
import { SenderLines } from './sender-lines.js';
import { SenderPace } from './sender-pace.js';
import { SmsComposer, SmsSenders } from './sms-composer.js';
import { SmsFinder } from './sms-finder.js';
import { SmsMessages } from './sms-messages.js';
import { SmsSender } from './sms-sender.js';
import { StalledFallbacks } from './stalled-fallbacks.js';
import { SmsTexts, TemplateContent } from './template-content.js';
import { TwilioSmsSender } from './twilio-sms-sender.js';

/**
 * Records on fallbacks what the log says of their SMS, and that WhatsApp delivered the original after all, so that the
 * person has the text twice. Adds the row of the SMS to the application's messages. An SMS that is recorded after its
 * callbacks, or after such a delivery, is followed again.
 */
@Injectable()
export class SmsOutcomes implements LogConsumer, OnModuleInit {
  private readonly logger = new Logger(SmsOutcomes.name);

  constructor(
    private readonly follower: Follower,
    private readonly store: FallbackStore,
    private readonly smsMessages: SmsMessages,
  ) {}

  onModuleInit(): void {
    this.follower.register(this);
  }

  async follow(manager: EntityManager, news: News): Promise<Followed> {
    const { messageSids } = news;
    await this.store.recordOutcomes(manager, messageSids);
    const duplicates = await this.store.recordDuplicateDeliveries(manager, messageSids);
    const again = await this.smsMessages.follow(manager, news.messages);
    return {
      again,
      afterCommit: () => {
        for (const duplicate of duplicates) {
          this.logger.warn('WhatsApp delivered the message after its SMS fallback', duplicate);
        }
      },
    };
  }
}

@Injectable()
export class FallbackListener {
  constructor(private readonly fallbacks: FallbackService) {}

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
}

/** Pass a DomainEventsModule, a TwilioModule, a MessageEventsModule, a FollowerModule and a MessagesModule in `imports`. */
@Module({
  providers: [
    FallbackListener,
    FallbackOutcomes,
    FallbackService,
    FallbackStore,
    SenderLines,
    SenderPace,
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
