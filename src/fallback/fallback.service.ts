import { Inject, Injectable, Logger } from '@nestjs/common';
import { OriginalMessages } from '../messages/original-messages.js';
import type { WhatsappPolicyFailed } from '../message-events/whatsapp-policy-failed.event.js';
import { classifySendError, type SendError } from '../twilio/send-error.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { type FallbackProblem, FallbackStore, type LockedFallback } from './fallback.store.js';
import { backoff, growingDelay } from './retry-delay.js';
import { type ComposedSms, type Composition, SmsComposer } from './sms-composer.js';
import { type AcceptedSms, type Sms, SmsSender } from './sms-sender.js';

/** An SMS is sent again at most this often where Twilio neither answers nor lists it. */
const MAXIMUM_UNANSWERED_ATTEMPTS = 5;

const SHORTEST_LOOK_MILLISECONDS = 1_000;

/** `none`: Twilio has no such SMS at this time. `unknown`: Twilio could not be asked. */
type Finding =
  | AcceptedSms
  | { readonly outcome: 'none'; readonly problem: null }
  | { readonly outcome: 'unknown'; readonly problem: SendError };

/** The fallback's state machine: claimed → sending → sent, with each step committed before the next. */
@Injectable()
export class FallbackService {
  private readonly logger = new Logger(FallbackService.name);

  constructor(
    private readonly store: FallbackStore,
    private readonly composer: SmsComposer,
    private readonly sender: SmsSender,
    private readonly originalMessages: OriginalMessages,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions,
  ) {}

  /** Claims the original message of a policy failure and sends its SMS. Whoever comes second changes nothing. */
  async start(event: WhatsappPolicyFailed): Promise<void> {
    await this.attempt(await this.store.claim(event));
  }

  /** Goes on with a fallback from the state it is in. */
  async attempt(id: string): Promise<void> {
    const fallback = await this.store.lock(id);
    if (fallback === null) {
      await this.store.lookAgain(id);
    } else if (fallback.state === 'claimed') {
      await this.composeAndSend(fallback);
    } else {
      // `sending` without a worker means that the worker died between its intent and the record of the answer.
      await this.settle(fallback);
    }
  }

  private async composeAndSend(fallback: LockedFallback): Promise<void> {
    const composition = await this.compose(fallback);
    switch (composition.kind) {
      case 'composed':
        await this.send(fallback, composition.sms);
        break;
      case 'skipped':
        await this.end(fallback, 'skipped', composition.reason);
        break;
      case 'original_message_missing':
        await this.waitForOriginalMessage(fallback);
        break;
      case 'unavailable':
        await this.retryLater(fallback, composition.problem);
        break;
    }
  }

  private async compose(
    fallback: LockedFallback,
  ): Promise<Composition | { readonly kind: 'unavailable'; readonly problem: SendError }> {
    try {
      return await this.composer.compose(fallback);
    } catch (error) {
      return { kind: 'unavailable', problem: classifySendError(error) };
    }
  }

  private async send(fallback: LockedFallback, composed: ComposedSms): Promise<void> {
    await this.store.beginSending(fallback, composed);
    const result = await this.sender.send(this.smsOf(fallback, composed));
    switch (result.outcome) {
      case 'accepted':
        await this.markSent(fallback, composed, result);
        break;
      case 'rejected':
        await this.end(fallback, 'failed', 'rejected_by_twilio', result);
        break;
      case 'not_processed':
        await this.retryLater(fallback, result);
        break;
      case 'ambiguous':
        await this.postpone(
          fallback,
          'uncertain',
          'no_answer_from_twilio',
          SHORTEST_LOOK_MILLISECONDS,
          result,
        );
        break;
    }
  }

  private smsOf({ id, accountSid, statusCallbackUrl }: LockedFallback, composed: ComposedSms): Sms {
    const callbackUrl = this.options.statusCallbackUrl ?? statusCallbackUrl;
    return {
      accountSid,
      to: composed.toNumber,
      from: composed.fromNumber,
      messagingServiceSid: composed.messagingServiceSid,
      body: composed.body,
      // Twilio by itself tries a callback once; the fragment asks for five retries after any failure.
      statusCallbackUrl: callbackUrl === null ? null : `${callbackUrl}?sms_fallback_id=${id}#rc=5&rp=all`,
    };
  }

  private async waitForOriginalMessage(fallback: LockedFallback): Promise<void> {
    const age = Date.now() - fallback.createdAt.getTime();
    if (age >= (this.options.originalMessageWaitMilliseconds ?? 5 * 60_000)) {
      await this.end(fallback, 'skipped', 'original_message_not_found');
    } else {
      const delay = growingDelay(age, SHORTEST_LOOK_MILLISECONDS);
      await this.postpone(fallback, 'claimed', 'waiting_for_original_message', delay);
    }
  }

  private async retryLater(fallback: LockedFallback, problem: SendError): Promise<void> {
    const age = Date.now() - fallback.createdAt.getTime();
    if (age >= this.giveUpAfterMilliseconds) {
      await this.end(fallback, 'failed', 'twilio_unavailable', problem);
      return;
    }
    const asked = (problem.retryAfterSeconds ?? 0) * 1_000;
    const delay = Math.max(asked, backoff(Math.max(1, fallback.attempts)));
    await this.postpone(fallback, 'claimed', 'twilio_unavailable', delay, problem);
  }

  /** Finds out whether the SMS was accepted. It is sent again only when that is known not to be so. */
  private async settle(fallback: LockedFallback): Promise<void> {
    const { attemptStartedAt, toNumber, body } = fallback;
    if (attemptStartedAt === null || toNumber === null || body === null) {
      throw new Error(`The fallback ${fallback.id} is ${fallback.state} but has no SMS`);
    }
    const composed: ComposedSms = { ...fallback, toNumber, body };
    const elapsed = Date.now() - attemptStartedAt.getTime();
    const found = await this.findAccepted(fallback, composed, attemptStartedAt);
    if (found.outcome === 'accepted') {
      await this.markSent(fallback, composed, found);
    } else if (found.outcome === 'unknown' || elapsed < (this.options.settlingMilliseconds ?? 30_000)) {
      await this.lookAgain(fallback, elapsed, found.problem);
    } else if (fallback.attempts >= MAXIMUM_UNANSWERED_ATTEMPTS) {
      await this.end(fallback, 'failed', 'no_answer_from_twilio');
    } else {
      await this.send(fallback, composed);
    }
  }

  /** A callback of the SMS tells its SID; else Twilio's list does, where it holds an SMS that nobody else has. */
  private async findAccepted(fallback: LockedFallback, composed: ComposedSms, since: Date): Promise<Finding> {
    const reportedSid = await this.store.findReportedSid(fallback.id);
    if (reportedSid !== null) return { outcome: 'accepted', messageSid: reportedSid, status: 'accepted' };
    try {
      const candidates = await this.sender.findAccepted(this.smsOf(fallback, composed), since);
      const known = await this.store.findKnownSids(candidates.map(({ messageSid }) => messageSid));
      return (
        candidates.find(({ messageSid }) => !known.has(messageSid)) ?? { outcome: 'none', problem: null }
      );
    } catch (error) {
      return { outcome: 'unknown', problem: classifySendError(error) };
    }
  }

  private async lookAgain(
    fallback: LockedFallback,
    elapsed: number,
    problem: SendError | null,
  ): Promise<void> {
    if (elapsed >= this.giveUpAfterMilliseconds) {
      await this.end(fallback, 'failed', 'no_answer_from_twilio', problem);
    } else {
      const delay = growingDelay(elapsed, SHORTEST_LOOK_MILLISECONDS);
      await this.postpone(fallback, 'uncertain', 'no_answer_from_twilio', delay, problem);
    }
  }

  private async markSent(
    fallback: LockedFallback,
    { body, truncated }: ComposedSms,
    sms: AcceptedSms,
  ): Promise<void> {
    const original = await this.originalMessages.findByTwilioSid(fallback.originalMessageSid);
    const recorded = await this.store.markSent(fallback, sms, body, original?.conversationId ?? null);
    this.logger.log(recorded ? 'SMS fallback sent' : 'SMS fallback was recorded as sent already', {
      ...described(fallback),
      smsMessageSid: sms.messageSid,
      truncated,
    });
  }

  private async end(
    fallback: LockedFallback,
    state: 'skipped' | 'failed',
    reason: string,
    problem: FallbackProblem | null = null,
  ): Promise<void> {
    await this.store.end(fallback, state, reason, problem);
    this.logger.warn(`SMS fallback ${state}`, { ...described(fallback), reason, code: problem?.code });
  }

  private async postpone(
    fallback: LockedFallback,
    state: 'claimed' | 'uncertain',
    reason: string,
    delayMilliseconds: number,
    problem: FallbackProblem | null = null,
  ): Promise<void> {
    const until = new Date(Date.now() + delayMilliseconds);
    await this.store.postpone(fallback, state, reason, problem, until);
    this.logger.log('SMS fallback postponed', {
      ...described(fallback),
      state,
      reason,
      code: problem?.code,
      until,
    });
  }

  private get giveUpAfterMilliseconds(): number {
    return this.options.giveUpAfterMilliseconds ?? 4 * 60 * 60_000;
  }
}

function described({ id, originalMessageSid }: LockedFallback) {
  return { smsFallbackId: id, originalMessageSid };
}
