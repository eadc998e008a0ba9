import { Injectable } from '@nestjs/common';
import { OnDomainEvent } from '../domain-events/on-domain-event.decorator.js';
import type { SmsNeverSent } from '../message-events/never-sent.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import type { SmsFallbackAttemptDue, SmsFallbackMessageMissing } from './fallback.events.js';
import { FallbackService } from './fallback.service.js';
import { SmsMessages } from './sms-messages.js';

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
