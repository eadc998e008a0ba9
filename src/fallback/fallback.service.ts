import { Inject, Injectable } from '@nestjs/common';
import type { SmsNeverSent } from '../message-events/message-status-report.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import { outageInWords } from '../twilio/outage-reasons.js';
import { isSendersFault, type SendError } from '../twilio/send-error.js';
import { TwilioOutages } from '../twilio/twilio-outages.js';
import { FallbackOutcomes } from './fallback-outcomes.js';
import type { SkipReason } from './fallback-reasons.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import {
  type FallbackProblem,
  FallbackStore,
  type LockedFallback,
  type NeverSentSms,
  type Obstacle,
  type WaitStep,
} from './fallback.store.js';
import { isLateFailure, secondsLeft } from './original-age.js';
import { growingDelay, lookingSince, triedInCurrentTry, tryStartedAt } from './retry-decision.js';
import { type ComposedSms, type Composition, SmsComposer } from './sms-composer.js';
import { SmsFinder } from './sms-finder.js';
import { type AcceptedSms, SmsSender } from './sms-sender.js';

/** The limit of attempts for an SMS that Twilio neither answers nor lists. */
const MAXIMUM_UNANSWERED_ATTEMPTS = 5;

const SHORTEST_LOOK_MILLISECONDS = 1_000;

const GIVE_UP_AFTER_MILLISECONDS = 4 * 60 * 60_000;

/** A queue that overflows takes a while to empty. */
const RESEND_DELAY_MILLISECONDS = 10_000;

const DELIVERED_MEANWHILE = {
  code: null,
  message: 'WhatsApp delivered the message meanwhile, so the SMS is not sent again',
};

type Composed = Extract<Composition, { kind: 'composed' }>;

/** The fallback's state machine: claimed → sending → sent, with each step committed before the next. */
@Injectable()
export class FallbackService {
  constructor(
    private readonly store: FallbackStore,
    private readonly outcomes: FallbackOutcomes,
    private readonly composer: SmsComposer,
    private readonly sender: SmsSender,
    private readonly finder: SmsFinder,
    private readonly outages: TwilioOutages,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions,
  ) {}

  /** Claims the original message of a policy failure and sends its SMS. A second call changes nothing. */
  async start(event: WhatsappPolicyFailed): Promise<void> {
    const claimed = await this.store.claim(event, this.options.holdMilliseconds ?? 0);
    if (typeof claimed === 'string') await this.attempt(claimed);
    else await this.composeAndSend(claimed);
  }

  /** Continues a fallback from its current state. */
  async attempt(id: string): Promise<void> {
    const fallback = await this.store.lock(id);
    if (fallback === null) {
      await this.store.planNextLook(id);
    } else if (fallback.state === 'claimed') {
      await this.composeAndSend(fallback);
    } else {
      // `sending` without a worker means that the worker died between its intent and the record of the answer.
      await this.settle(fallback);
    }
  }

  /** Plans one more attempt for an SMS that Twilio accepted and never sent, or ends its fallback. */
  async resend({
    smsFallbackId,
    messageSid,
  }: Pick<SmsNeverSent, 'smsFallbackId' | 'messageSid'>): Promise<void> {
    const reopened = await this.store.reopenNeverSent(smsFallbackId, messageSid, (sms) =>
      this.isResendAllowed(sms)
        ? { inMilliseconds: this.options.resendDelayMilliseconds ?? RESEND_DELAY_MILLISECONDS }
        : null,
    );
    if (reopened !== undefined) this.outcomes.neverSent(reopened.sms, reopened.isReopened);
  }

  private async composeAndSend(fallback: LockedFallback): Promise<void> {
    if (this.age(fallback) >= this.giveUpAfterMilliseconds) {
      await this.endWithout(fallback, 'too_late');
      return;
    }
    const composition = await this.composer.compose(fallback);
    switch (composition.kind) {
      case 'composed':
        await this.sendUnlessForgotten(fallback, composition);
        break;
      case 'skipped':
        await this.endWithout(fallback, composition.reason, composition.originalSentAt);
        break;
      case 'original_message_missing':
        await this.waitForOriginalMessage(fallback);
        break;
      case 'unavailable':
        await this.retryUnlessRejected(fallback, composition.problem);
        break;
    }
  }

  /** Asks Twilio before the first attempt of a late failure: a database that lost its last transactions may have sent it. */
  private async sendUnlessForgotten(fallback: LockedFallback, composition: Composed): Promise<void> {
    const { sms } = composition;
    const sentAt = sms.originalSentAt ?? fallback.createdAt;
    if (fallback.attempts > 0 || !isLateFailure(sentAt, fallback.now())) {
      await this.send(fallback, composition);
      return;
    }
    const found = await this.finder.find(fallback, this.composer.smsOf(fallback, sms), sentAt);
    // It has made no attempt that could be settled, so it starts anew if that SMS belongs to another fallback.
    if (found.outcome === 'accepted') await this.markSent(fallback, sms, found, 'claimed');
    else if (found.outcome === 'unknown') await this.retryUnlessRejected(fallback, found.problem);
    // An SMS that message redaction hides is another SMS: this fallback has sent none.
    else await this.send(fallback, composition);
  }

  /** An earlier attempt may have failed. Then the reason against another one is only part of the cause. */
  private async endWithout(
    fallback: LockedFallback,
    reason: SkipReason,
    originalSentAt: Date | null = null,
  ): Promise<void> {
    const details = { originalSentAt };
    if (reason === 'delivered_meanwhile') await this.outcomes.skipped(fallback, reason, details);
    else if (wasNeverSent(fallback)) await this.outcomes.failed(fallback, 'never_sent', null, details);
    else if (reason === 'too_late' && fallback.reason === 'twilio_unavailable')
      await this.outcomes.failed(fallback, 'twilio_unavailable', null, details);
    else if (reason === 'too_late')
      await this.outcomes.skipped(fallback, reason, {
        ...details,
        problem: await this.outageSince(fallback, originalSentAt),
      });
    else await this.outcomes.skipped(fallback, reason, details);
  }

  /** Returns the outage of Twilio during which the original became too old, so that the operator sees the cause. */
  private async outageSince(
    { accountSid, createdAt, lastErrorCode }: LockedFallback,
    originalSentAt: Date | null,
  ): Promise<FallbackProblem | null> {
    if (lastErrorCode !== null) return null;
    const outage = await this.outages.findSince(accountSid, originalSentAt ?? createdAt);
    if (outage === null) return null;
    const minutes = Math.round(outage.seconds / 60);
    const message = `Twilio could not be used for ${minutes} minutes of that time: ${outageInWords(outage.reason).meaning}`;
    return { code: outage.reason, message };
  }

  private async send(
    fallback: LockedFallback,
    { sms: composed, nextSender }: Pick<Composed, 'sms' | 'nextSender'>,
  ): Promise<void> {
    const obstacle = await this.store.beginSending(fallback, composed, this.duplicateWindow(fallback));
    if (obstacle !== null) {
      await this.endBecauseOf(fallback, composed, obstacle);
      return;
    }
    const result = await this.sender.send(this.composer.smsOf(fallback, composed));
    switch (result.outcome) {
      case 'accepted':
        await this.markSent(fallback, composed, result);
        break;
      case 'rejected':
      case 'not_processed':
        // While an earlier attempt is in doubt, its SMS may be on its way.
        if (isSendersFault(result) && nextSender !== null && fallback.unansweredAttempts === 0)
          await this.tryNextSender(fallback, result);
        else await this.retryUnlessRejected(fallback, result);
        break;
      case 'ambiguous':
        await this.outcomes.postponed(
          fallback,
          {
            state: 'uncertain',
            reason: 'no_answer_from_twilio',
            unansweredAttempts: fallback.unansweredAttempts + 1,
            problem: result,
          },
          SHORTEST_LOOK_MILLISECONDS,
        );
        break;
    }
  }

  /** An SMS of an earlier attempt may be on its way, and would count as its own duplicate. */
  private duplicateWindow({ unansweredAttempts }: LockedFallback): number {
    return unansweredAttempts > 0 ? 0 : (this.options.duplicateWindowMilliseconds ?? 0);
  }

  private async endBecauseOf(
    fallback: LockedFallback,
    composed: ComposedSms,
    obstacle: Obstacle,
  ): Promise<void> {
    const { originalSentAt } = composed;
    switch (obstacle.kind) {
      case 'delivered_by_sms': {
        const sms = { outcome: 'accepted', messageSid: obstacle.smsMessageSid, status: 'delivered' } as const;
        await this.markSent(fallback, composed, sms);
        break;
      }
      case 'delivered_by_whatsapp':
        // An SMS of an unanswered attempt may have been sent: only its callback can tell.
        if (fallback.unansweredAttempts > 0)
          await this.outcomes.failed(fallback, 'no_answer_from_twilio', DELIVERED_MEANWHILE);
        else await this.outcomes.skipped(fallback, 'delivered_meanwhile', { originalSentAt });
        break;
      case 'duplicate':
        await this.outcomes.skipped(fallback, 'duplicate_of', { originalSentAt, duplicateOf: obstacle.of });
        break;
    }
  }

  /** Plans a new attempt, so that each POST has its own committed intent. */
  private async tryNextSender(fallback: LockedFallback, problem: SendError): Promise<void> {
    const step = {
      state: 'claimed',
      reason: 'sender_refused',
      problem,
      failedAttempt: 'sender_refused',
    } as const;
    await this.outcomes.postponed(fallback, step, 0);
  }

  private async waitForOriginalMessage(fallback: LockedFallback): Promise<void> {
    const age = this.age(fallback);
    if (age >= (this.options.originalMessageWaitMilliseconds ?? 5 * 60_000)) {
      await this.endWithout(fallback, 'original_message_not_found');
    } else {
      const delay = growingDelay(age, SHORTEST_LOOK_MILLISECONDS);
      const reason = 'waiting_for_original_message';
      await this.outcomes.postponed(fallback, { state: 'claimed', reason, problem: null }, delay);
    }
  }

  /** This attempt sent nothing, but earlier unanswered attempts may have. */
  private async retryUnlessRejected(fallback: LockedFallback, problem: SendError): Promise<void> {
    const isInDoubt = fallback.unansweredAttempts > 0;
    if (problem.outcome === 'rejected') {
      const reason = isInDoubt ? 'no_answer_from_twilio' : 'rejected_by_twilio';
      const details = isSendersFault(problem) ? ({ failedAttempt: 'sender_refused' } as const) : {};
      await this.outcomes.failed(fallback, reason, problem, details);
      return;
    }
    const age = this.age(fallback);
    if (age >= this.giveUpAfterMilliseconds) {
      const reason = isInDoubt ? 'no_answer_from_twilio' : 'twilio_unavailable';
      await this.outcomes.failed(fallback, reason, problem);
      return;
    }
    const asked = (problem.retryAfterSeconds ?? 0) * 1_000;
    const delay = Math.max(asked, growingDelay(age, SHORTEST_LOOK_MILLISECONDS));
    const state = isInDoubt ? 'uncertain' : 'claimed';
    await this.outcomes.postponed(fallback, { state, reason: 'twilio_unavailable', problem }, delay);
  }

  /** Finds out whether the SMS was accepted. It is sent again only if it certainly was not. */
  private async settle(fallback: LockedFallback): Promise<void> {
    const { attemptStartedAt, toNumber, body } = fallback;
    if (attemptStartedAt === null || toNumber === null || body === null) {
      // An earlier version reopened an erased fallback. Its content can no longer be determined.
      await this.outcomes.failed(fallback, 'no_answer_from_twilio', null);
      return;
    }
    const composed: ComposedSms = { ...fallback, toNumber, body };
    const elapsed = fallback.now().getTime() - lookingSince(attemptStartedAt, fallback).getTime();
    const found = await this.finder.find(
      fallback,
      this.composer.smsOf(fallback, composed),
      fallback.unansweredSince ?? attemptStartedAt,
    );
    if (found.outcome === 'accepted') {
      await this.markSent(fallback, composed, found);
    } else if (found.outcome === 'unknown' || elapsed < (this.options.settlingMilliseconds ?? 30_000)) {
      await this.keepLooking(fallback, elapsed, found.problem);
    } else if (found.outcome === 'hidden' || this.isGivenUp(fallback)) {
      await this.outcomes.failed(fallback, 'no_answer_from_twilio', null);
    } else {
      await this.send(fallback, { sms: composed, nextSender: null });
    }
  }

  private async keepLooking(
    fallback: LockedFallback,
    elapsed: number,
    problem: SendError | null,
  ): Promise<void> {
    if (elapsed >= this.giveUpAfterMilliseconds) {
      await this.outcomes.failed(fallback, 'no_answer_from_twilio', problem);
    } else {
      const delay = growingDelay(elapsed, SHORTEST_LOOK_MILLISECONDS);
      const reason = 'no_answer_from_twilio';
      await this.outcomes.postponed(fallback, { state: 'uncertain', reason, problem }, delay);
    }
  }

  private async markSent(
    fallback: LockedFallback,
    composed: ComposedSms,
    sms: AcceptedSms,
    stateIfTaken: WaitStep['state'] = 'uncertain',
  ): Promise<void> {
    switch (await this.outcomes.sent(fallback, composed, sms)) {
      case 'sent':
        break;
      case 'never_sent':
        // Its report came before the answer to its POST.
        await this.resend({ smsFallbackId: fallback.id, messageSid: sms.messageSid });
        break;
      case 'taken': {
        // Another fallback without an answer saw it in Twilio's list first. It left this one either its own SMS or
        // none.
        const reason = 'sms_taken_by_another_fallback';
        const step = { state: stateIfTaken, reason, problem: null } as const;
        await this.outcomes.postponed(fallback, step, SHORTEST_LOOK_MILLISECONDS);
      }
    }
  }

  private isGivenUp(fallback: LockedFallback): boolean {
    return (
      fallback.unansweredAttempts >= MAXIMUM_UNANSWERED_ATTEMPTS ||
      this.age(fallback) >= this.giveUpAfterMilliseconds ||
      this.isTooOld(fallback, fallback.now())
    );
  }

  /** One more attempt for each try, while the original is young enough. */
  private isResendAllowed({ fallback, now }: NeverSentSms): boolean {
    return !wasNeverSent(fallback) && fallback.erasedAt === null && !this.isTooOld(fallback, now);
  }

  /** An original with an unknown sending time has not been composed yet; its age is determined then. */
  private isTooOld({ ageLimitIgnored, originalSentAt }: NeverSentSms['fallback'], now: Date): boolean {
    return !ageLimitIgnored && originalSentAt !== null && secondsLeft(originalSentAt, now, this.options) <= 0;
  }

  /** Returns the age of the current try in milliseconds. */
  private age(fallback: LockedFallback): number {
    return fallback.now().getTime() - tryStartedAt(fallback).getTime();
  }

  private get giveUpAfterMilliseconds(): number {
    const { giveUpAfterMilliseconds, maximumAgeMilliseconds = 0 } = this.options;
    return giveUpAfterMilliseconds ?? Math.max(GIVE_UP_AFTER_MILLISECONDS, maximumAgeMilliseconds);
  }
}

/** Whether an SMS of the current try was accepted and never sent. */
function wasNeverSent(fallback: NeverSentSms['fallback']): boolean {
  return triedInCurrentTry(fallback).some(({ outcome }) => outcome === 'never_sent');
}
