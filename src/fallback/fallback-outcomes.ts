import { Injectable, Logger } from '@nestjs/common';
import { measured } from '../measurements/measurements.js';
import { OriginalMessages } from '../messages/original-messages.js';
import type { FailureReason, SkipReason, WaitReason } from './fallback-reasons.js';
import { type FallbackProblem, FallbackStore, type LockedFallback } from './fallback.store.js';
import { SentSmsStore } from './sent-sms.store.js';
import type { ComposedSms } from './sms-composer.js';
import type { AcceptedSms } from './sms-sender.js';

/** What a step of the state machine came to: it is recorded, the lock is given back, and the log tells of it. */
@Injectable()
export class FallbackOutcomes {
  private readonly logger = new Logger('Fallback');

  constructor(
    private readonly store: FallbackStore,
    private readonly sentSms: SentSmsStore,
    private readonly originalMessages: OriginalMessages,
  ) {}

  /** @returns false where the SMS turned out to be another fallback's. */
  async sent(fallback: LockedFallback, { body, truncated }: ComposedSms, sms: AcceptedSms): Promise<boolean> {
    const original = await this.originalMessages.findByTwilioSid(fallback.originalMessageSid);
    const record = await this.sentSms.record(fallback, sms, body, original?.conversationId ?? null);
    if (record === 'taken') return false;
    const message = record === 'recorded' ? 'SMS fallback sent' : 'SMS fallback was recorded as sent already';
    this.logger.log(message, { ...described(fallback), smsMessageSid: sms.messageSid, truncated });
    return true;
  }

  async skipped(fallback: LockedFallback, reason: SkipReason): Promise<void> {
    await this.store.end(fallback, 'skipped', reason, null);
    measured('sms_fallback.ended', { state: 'skipped', reason, secondsFromCallback: null });
    this.logger.warn('SMS fallback skipped', { ...described(fallback), reason });
  }

  async failed(
    fallback: LockedFallback,
    reason: FailureReason,
    problem: FallbackProblem | null,
  ): Promise<void> {
    await this.store.end(fallback, 'failed', reason, problem);
    measured('sms_fallback.ended', { state: 'failed', reason, secondsFromCallback: null });
    this.logger.warn('SMS fallback failed', { ...described(fallback), reason, code: problem?.code });
  }

  /** @param delay in milliseconds. */
  async postponed(
    fallback: LockedFallback,
    state: 'claimed' | 'uncertain',
    reason: WaitReason,
    delay: number,
    problem: FallbackProblem | null,
  ): Promise<void> {
    const until = new Date(fallback.now().getTime() + delay);
    await this.store.postpone(fallback, state, reason, problem, until);
    const fields = { ...described(fallback), state, reason, code: problem?.code, until };
    this.logger.log('SMS fallback postponed', fields);
  }
}

function described({ id, originalMessageSid }: LockedFallback) {
  return { smsFallbackId: id, originalMessageSid };
}
