import { Injectable, Logger } from '@nestjs/common';
import { measured } from '../measurements/measurements.js';
import type { FailureReason, SkipReason } from './fallback-reasons.js';
import { type FallbackProblem, FallbackStore, type LockedFallback, type WaitStep } from './fallback.store.js';
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
  ) {}

  /** @returns false where the SMS turned out to be another fallback's. */
  async sent(fallback: LockedFallback, { body, truncated }: ComposedSms, sms: AcceptedSms): Promise<boolean> {
    const record = await this.sentSms.record(fallback, sms, body);
    if (record === 'taken') return false;
    const fields = { ...described(fallback), smsMessageSid: sms.messageSid, truncated };
    switch (record) {
      case 'recorded':
        this.logger.log('SMS fallback sent', fields);
        break;
      case 'second_sms':
        this.logger.warn('A second SMS was sent for one message', fields);
        break;
      case 'ended_before':
        this.logger.log('SMS fallback was recorded as sent already', fields);
    }
    return true;
  }

  async skipped(fallback: LockedFallback, reason: SkipReason): Promise<void> {
    const { unansweredAttempts } = fallback;
    await this.store.end(fallback, { state: 'skipped', reason, unansweredAttempts, problem: null });
    measured('sms_fallback.ended', { state: 'skipped', reason, secondsFromCallback: null });
    this.logger.warn('SMS fallback skipped', { ...described(fallback), reason });
  }

  async failed(
    fallback: LockedFallback,
    reason: FailureReason,
    problem: FallbackProblem | null,
  ): Promise<void> {
    const { unansweredAttempts } = fallback;
    await this.store.end(fallback, { state: 'failed', reason, unansweredAttempts, problem });
    measured('sms_fallback.ended', { state: 'failed', reason, secondsFromCallback: null });
    this.logger.warn('SMS fallback failed', { ...described(fallback), reason, code: problem?.code });
  }

  /** @param delay in milliseconds. */
  async postponed(
    fallback: LockedFallback,
    step: Omit<WaitStep, 'unansweredAttempts'> & Partial<WaitStep>,
    delay: number,
  ): Promise<void> {
    const until = new Date(fallback.now().getTime() + delay);
    const { unansweredAttempts } = fallback;
    await this.store.postpone(fallback, { unansweredAttempts, ...step }, until);
    const { state, reason, problem } = step;
    const fields = { ...described(fallback), state, reason, code: problem?.code, until };
    this.logger.log('SMS fallback postponed', fields);
  }
}

function described({ id, originalMessageSid }: LockedFallback) {
  return { smsFallbackId: id, originalMessageSid };
}
