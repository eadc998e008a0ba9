import { Inject, Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import type { SmsNeverSent } from '../message-events/message-status-report.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import { outageInWords } from '../twilio/outage-reasons.js';
import { isSendersFault, isTooFast, isTooFastCode, type SendError } from '../twilio/send-error.js';
import { TwilioOutages } from '../twilio/twilio-outages.js';
import { FallbackOutcomes } from './fallback-outcomes.js';
import type { PolicyReason } from './fallback-policy.js';
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
import { deadlineOf, LATE_FAILURE_MILLISECONDS, secondsLeft } from './original-age.js';
import { growingDelay, lookingSince, triedInCurrentTry, tryStartedAt } from './retry-decision.js';
import { senderKey, SenderPace } from './sender-pace.js';
import { type ComposedSms, type Composition, SmsComposer } from './sms-composer.js';
import { SmsFinder } from './sms-finder.js';
import { type AcceptedSms, SmsSender } from './sms-sender.js';

/** The limit of attempts for an SMS that Twilio neither answers nor lists. */
const MAXIMUM_UNANSWERED_ATTEMPTS = 5;

const SHORTEST_LOOK_MILLISECONDS = 1_000;

const GIVE_UP_AFTER_MILLISECONDS = 4 * 60 * 60_000;

/** After this time without a pacer, a fallback in a line counts as stalled soon. */
const LONGEST_LINE_MILLISECONDS = 4 * 60 * 60_000;

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
  private readonly atOnce: ReturnType<typeof pLimit>;

  constructor(
    private readonly store: FallbackStore,
    private readonly outcomes: FallbackOutcomes,
    private readonly composer: SmsComposer,
    private readonly sender: SmsSender,
    private readonly pace: SenderPace,
    private readonly finder: SmsFinder,
    private readonly outages: TwilioOutages,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions,
  ) {
    this.atOnce = pLimit(options.smsAtOnce ?? 10);
  }

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
    if (reopened === undefined) return;
    this.outcomes.neverSent(reopened.sms, reopened.isReopened);
    await this.slowSenderOf(reopened.sms);
  }

  private async slowSenderOf({ fallback, code, now }: NeverSentSms): Promise<void> {
    if (!isTooFastCode(code) || fallback.attemptStartedAt === null) return;
    await this.pace.slow({
      key: senderKey(fallback.accountSid, fallback),
      code,
      begunMillisecondsAgo: now.getTime() - fallback.attemptStartedAt.getTime(),
      retryAfterSeconds: null,
      isReport: true,
    });
  }

  private async composeAndSend(fallback: LockedFallback): Promise<void> {
    if (this.isWaitOver(fallback)) {
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
      case 'deferred': {
        const wait = { state: 'claimed', reason: 'deferred', problem: null } as const;
        await this.outcomes.postponed(fallback, wait, composition.until.getTime() - fallback.now().getTime());
        break;
      }
      case 'unavailable':
        await this.retryUnlessRejected(fallback, composition.problem);
        break;
    }
  }

  /** Asks Twilio before the first attempt of a late failure: a database that lost its last transactions may have sent it. */
  private async sendUnlessForgotten(fallback: LockedFallback, composition: Composed): Promise<void> {
    const { sms } = composition;
    const sentAt = sms.originalSentAt ?? fallback.createdAt;
    if (fallback.attempts > 0 || !(await this.mayBeForgotten(fallback, sentAt))) {
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

  /** While fallbacks wait, e.g. in a storm, most are known to be complete: asking about each would take twice as long. */
  private async mayBeForgotten(fallback: LockedFallback, sentAt: Date): Promise<boolean> {
    const late = this.options.lateFailureMilliseconds ?? LATE_FAILURE_MILLISECONDS;
    if (fallback.now().getTime() - sentAt.getTime() < late) return false;
    return this.store.mayBeForgotten(fallback, new Date(sentAt.getTime() + late));
  }

  /** An earlier attempt may have failed. Then the reason against another one is only part of the cause. */
  private async endWithout(
    fallback: LockedFallback,
    reason: SkipReason | PolicyReason,
    originalSentAt: Date | null = null,
    problem: FallbackProblem | null = null,
  ): Promise<void> {
    const details = { originalSentAt };
    if (reason === 'delivered_meanwhile') await this.outcomes.skipped(fallback, reason, details);
    else if (wasNeverSent(fallback)) await this.outcomes.failed(fallback, 'never_sent', null, details);
    else if (reason === 'too_late' && fallback.reason === 'twilio_unavailable')
      await this.outcomes.failed(fallback, 'twilio_unavailable', null, details);
    else if (reason === 'too_late')
      await this.outcomes.skipped(fallback, reason, {
        ...details,
        problem: problem ?? (await this.outageSince(fallback, originalSentAt)),
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
    if (!(await this.isAdmitted(fallback, composed))) return;
    // The intent does not wait for other requests: its lock covers one request.
    const handedOver = await this.atOnce(async () => {
      const obstacle = await this.store.beginSending(fallback, composed, this.duplicateWindow(fallback));
      return obstacle === null ? this.post(fallback, composed) : { obstacle };
    });
    if ('obstacle' in handedOver) {
      await this.endBecauseOf(fallback, composed, handedOver.obstacle);
      return;
    }
    const { result, opensInMilliseconds } = handedOver;
    switch (result.outcome) {
      case 'accepted':
        await this.markSent(fallback, composed, result);
        break;
      case 'rejected':
      case 'not_processed':
        // While an earlier attempt is in doubt, its SMS may be on its way.
        if (isSendersFault(result) && nextSender !== null && fallback.unansweredAttempts === 0)
          await this.tryNextSender(fallback, result);
        // An SMS in doubt is looked for meanwhile.
        else if (isTooFast(result) && fallback.unansweredAttempts === 0 && !this.isGivenUpByAge(fallback))
          await this.waitForSender(fallback, composed, { opensInMilliseconds, problem: result });
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

  /** Hands the SMS to Twilio. If its sender sends too fast, it is slowed down for all its SMS. */
  private async post(fallback: LockedFallback, composed: ComposedSms) {
    const key = senderKey(fallback.accountSid, composed);
    this.pace.count(key);
    const begun = performance.now();
    const result = await this.sender.send(this.composer.smsOf(fallback, composed));
    if (result.outcome === 'accepted' || !isTooFast(result)) return { result, opensInMilliseconds: 0 };
    const { code, retryAfterSeconds } = result;
    const begunMillisecondsAgo = performance.now() - begun;
    const refusal = { key, code, begunMillisecondsAgo, retryAfterSeconds, isReport: false };
    return { result, opensInMilliseconds: await this.pace.slow(refusal) };
  }

  /** Whether its sender may send now. Otherwise the fallback has ended, or waits in the sender's line. */
  private async isAdmitted(fallback: LockedFallback, composed: ComposedSms): Promise<boolean> {
    const key = senderKey(fallback.accountSid, composed);
    if (fallback.admittedBy === key) return true;
    const turn = await this.pace.request(key, this.sendBefore(fallback, composed));
    if (!turn.isAdmitted) await this.waitForSender(fallback, composed, { ...turn, problem: null });
    return turn.isAdmitted;
  }

  /** The line is ordered by deadline. What is too late even if it is the next one ends. */
  private async waitForSender(
    fallback: LockedFallback,
    composed: ComposedSms,
    { opensInMilliseconds, problem }: { opensInMilliseconds: number; problem: SendError | null },
  ): Promise<void> {
    const isInDoubt = fallback.unansweredAttempts > 0;
    const sendBefore = this.sendBefore(fallback, composed);
    const left = (sendBefore?.getTime() ?? Infinity) - fallback.now().getTime();
    // Twilio takes no shorter ValidityPeriod than a second.
    if (left < opensInMilliseconds + 1_000) {
      if (isInDoubt) await this.outcomes.failed(fallback, 'no_answer_from_twilio', problem);
      else await this.endWithout(fallback, 'too_late', composed.originalSentAt, problem);
      return;
    }
    const pacedBy = senderKey(fallback.accountSid, composed);
    const line = { pacedBy, sendBefore };
    const delay = isInDoubt
      ? growingDelay(this.age(fallback), SHORTEST_LOOK_MILLISECONDS)
      : Math.min(left, LONGEST_LINE_MILLISECONDS);
    const state = isInDoubt ? 'uncertain' : 'claimed';
    await this.outcomes.postponed(fallback, { state, reason: 'waiting_for_sender', problem, line }, delay);
    this.pace.expectLine();
  }

  private sendBefore({ ageLimitIgnored }: LockedFallback, { originalSentAt }: ComposedSms): Date | null {
    return ageLimitIgnored || originalSentAt === null ? null : deadlineOf(originalSentAt, this.options);
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
    if (this.isGivenUpByAge(fallback)) {
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
      this.isWaitOver(fallback) ||
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

  private isGivenUpByAge(fallback: LockedFallback): boolean {
    return this.age(fallback) >= this.giveUpAfterMilliseconds;
  }

  /** While a fallback waits for its sender, only the age of the original limits the wait. */
  private isWaitOver(fallback: LockedFallback): boolean {
    return this.isGivenUpByAge(fallback) && fallback.reason !== 'waiting_for_sender';
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
