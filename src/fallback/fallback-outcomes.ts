import { Injectable, Logger } from '@nestjs/common';
import { NEVER_SENT_CODES } from '../message-events/message-status-report.js';
import { measured } from '../process/measurements.js';
import type { PolicyReason } from './fallback-policy.js';
import type { FailureReason, SkipReason } from './fallback-reasons.js';
import {
  type EndStep,
  type FallbackProblem,
  FallbackStore,
  type LockedFallback,
  type NeverSentSms,
  type WaitStep,
} from './fallback.store.js';
import type { ComposedSms } from './sms-composer.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import type { AcceptedSms } from './sms-sender.js';

/** Further details of a fallback that ends. */
type EndDetails = Partial<Pick<EndStep, 'originalSentAt' | 'duplicateOf' | 'failedAttempt' | 'problem'>>;

/** Records the outcome of a step of the state machine, releases the lock, and logs the outcome. */
@Injectable()
export class FallbackOutcomes {
  private readonly logger = new Logger('Fallback');

  constructor(private readonly store: FallbackStore) {}

  /** @returns `taken` if the SMS belongs to another fallback, `never_sent` if it has already failed. */
  async sent(
    fallback: LockedFallback,
    { body, conversationId, truncated }: ComposedSms,
    sms: AcceptedSms,
  ): Promise<'sent' | 'never_sent' | 'taken'> {
    const record = await this.record(
      { id: fallback.id, originalMessageSid: fallback.originalMessageSid, body, conversationId },
      sms,
    );
    if (record === 'taken') return 'taken';
    const fields = { ...described(fallback), smsMessageSid: sms.messageSid, truncated };
    switch (record) {
      case 'recorded':
      case 'never_sent':
        this.logger.log('SMS fallback sent', fields);
        break;
      case 'second_sms':
        this.logger.warn('A second SMS was sent for one message', fields);
        break;
      case 'ended_before':
        this.logger.log('SMS fallback was recorded as sent already', fields);
    }
    return record === 'never_sent' ? 'never_sent' : 'sent';
  }

  /**
   * Records the accepted SMS. Its row in `messages` follows within about a second.
   * @returns `never_sent` if the log already says that it was never sent, `taken` if the SMS belongs to another
   * fallback with the same text for the same person, and `second_sms` if this one already has another SMS: its worker
   * was suspended for longer than the lock lasts.
   */
  async record(
    {
      id,
      originalMessageSid,
      body,
      conversationId,
    }: Pick<SmsFallback, 'id' | 'originalMessageSid' | 'body' | 'conversationId'>,
    { messageSid: smsMessageSid }: AcceptedSms,
  ): Promise<'recorded' | 'never_sent' | 'ended_before' | 'second_sms' | 'taken'> {
    const recorded = await this.store.recordSent({
      id,
      originalMessageSid,
      smsMessageSid,
      body,
      conversationId,
    });
    if (recorded === 'taken') return 'taken';
    if (recorded === null) {
      return (await this.store.noteSecondSms(id, smsMessageSid)) ? 'second_sms' : 'ended_before';
    }
    const { seconds: secondsFromCallback, isDelivered, smsErrorCode } = recorded;
    measured('sms_fallback.ended', { state: 'sent', reason: null, secondsFromCallback });
    return !isDelivered && NEVER_SENT_CODES.includes(smsErrorCode ?? '') ? 'never_sent' : 'recorded';
  }

  async skipped(
    fallback: LockedFallback,
    reason: SkipReason | PolicyReason,
    details: EndDetails = {},
  ): Promise<void> {
    const { unansweredAttempts } = fallback;
    await this.store.end(fallback, {
      state: 'skipped',
      reason,
      unansweredAttempts,
      problem: null,
      ...details,
    });
    measured('sms_fallback.ended', { state: 'skipped', reason, secondsFromCallback: null });
    const fields = { ...described(fallback), reason, code: details.problem?.code };
    this.logger.warn('SMS fallback skipped', fields);
  }

  async failed(
    fallback: LockedFallback,
    reason: FailureReason,
    problem: FallbackProblem | null,
    details: EndDetails = {},
  ): Promise<void> {
    const { unansweredAttempts } = fallback;
    await this.store.end(fallback, { state: 'failed', reason, unansweredAttempts, problem, ...details });
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

  /** An SMS that Twilio accepted and never sent leads to one more attempt, or ends the fallback. */
  neverSent({ fallback, code }: NeverSentSms, isReopened: boolean): void {
    const fields = { ...described(fallback), smsMessageSid: fallback.smsMessageSid, code };
    if (isReopened) {
      this.logger.warn('SMS was accepted and never sent: another attempt is planned', fields);
      return;
    }
    measured('sms_fallback.ended', { state: 'failed', reason: 'never_sent', secondsFromCallback: null });
    this.logger.warn('SMS fallback failed', { ...fields, reason: 'never_sent' });
  }
}

/** `retriedBy` names who requested the retry, if there was one. */
function described({
  id,
  originalMessageSid,
  retriedBy,
}: Pick<LockedFallback, 'id' | 'originalMessageSid' | 'retriedBy'>) {
  return { smsFallbackId: id, originalMessageSid, ...(retriedBy !== null && { retriedBy }) };
}
