import { Inject, Injectable } from '@nestjs/common';
import { MessageEventsService } from '../message-events/message-events.service.js';
import type { WhatsappPolicyFailed } from '../message-events/whatsapp-policy-failed.event.js';
import type { SendError } from '../twilio/send-error.js';
import { lookingSince, tryStartedAt } from './current-try.js';
import { FallbackOutcomes } from './fallback-outcomes.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { FallbackStore, type LockedFallback } from './fallback.store.js';
import { growingDelay } from './retry-delay.js';
import { type ComposedSms, SmsComposer } from './sms-composer.js';
import { SmsFinder } from './sms-finder.js';
import { type AcceptedSms, SmsSender } from './sms-sender.js';

/** An SMS is sent again at most this often where Twilio neither answers nor lists it. */
const MAXIMUM_UNANSWERED_ATTEMPTS = 5;

const SHORTEST_LOOK_MILLISECONDS = 1_000;

/** The fallback's state machine: claimed → sending → sent, with each step committed before the next. */
@Injectable()
export class FallbackService {
  constructor(
    private readonly store: FallbackStore,
    private readonly outcomes: FallbackOutcomes,
    private readonly composer: SmsComposer,
    private readonly sender: SmsSender,
    private readonly finder: SmsFinder,
    private readonly messageEvents: MessageEventsService,
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
      await this.store.planNextLook(id);
    } else if (fallback.state === 'claimed') {
      await this.composeAndSend(fallback);
    } else {
      // `sending` without a worker means that the worker died between its intent and the record of the answer.
      await this.settle(fallback);
    }
  }

  private async composeAndSend(fallback: LockedFallback): Promise<void> {
    if (await this.endIfTooLate(fallback)) return;
    const composition = await this.composer.compose(fallback);
    // The original may have been stored after its callbacks.
    await this.messageEvents.linkMessage(fallback.originalMessageSid);
    switch (composition.kind) {
      case 'composed':
        await this.send(fallback, composition.sms);
        break;
      case 'skipped':
        await this.outcomes.skipped(fallback, composition.reason);
        break;
      case 'original_message_missing':
        await this.waitForOriginalMessage(fallback);
        break;
      case 'unavailable':
        await this.retryUnlessRejected(fallback, composition.problem);
        break;
    }
  }

  private async endIfTooLate(fallback: LockedFallback): Promise<boolean> {
    if (this.age(fallback) < this.giveUpAfterMilliseconds) return false;
    if (fallback.lastErrorCode === null) await this.outcomes.skipped(fallback, 'too_late');
    else await this.outcomes.failed(fallback, 'twilio_unavailable', null);
    return true;
  }

  private async send(fallback: LockedFallback, composed: ComposedSms): Promise<void> {
    await this.store.beginSending(fallback, composed);
    const result = await this.sender.send(this.composer.smsOf(fallback, composed));
    switch (result.outcome) {
      case 'accepted':
        await this.markSent(fallback, composed, result);
        break;
      case 'rejected':
      case 'not_processed':
        await this.retryUnlessRejected(fallback, result);
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

  private async waitForOriginalMessage(fallback: LockedFallback): Promise<void> {
    const age = this.age(fallback);
    if (age >= (this.options.originalMessageWaitMilliseconds ?? 5 * 60_000)) {
      await this.outcomes.skipped(fallback, 'original_message_not_found');
    } else {
      const delay = growingDelay(age, SHORTEST_LOOK_MILLISECONDS);
      const reason = 'waiting_for_original_message';
      await this.outcomes.postponed(fallback, { state: 'claimed', reason, problem: null }, delay);
    }
  }

  /** Nothing of this attempt is on its way, but of those before it that were not answered something may be. */
  private async retryUnlessRejected(fallback: LockedFallback, problem: SendError): Promise<void> {
    const isInDoubt = fallback.unansweredAttempts > 0;
    if (problem.outcome === 'rejected') {
      const reason = isInDoubt ? 'no_answer_from_twilio' : 'rejected_by_twilio';
      await this.outcomes.failed(fallback, reason, problem);
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

  /** Finds out whether the SMS was accepted. It is sent again only when that is known not to be so. */
  private async settle(fallback: LockedFallback): Promise<void> {
    const { attemptStartedAt, toNumber, body } = fallback;
    if (attemptStartedAt === null || toNumber === null || body === null) {
      // Erased, and then opened again by a version that did not know. What it was can be found out no more.
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
      await this.send(fallback, composed);
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

  private async markSent(fallback: LockedFallback, composed: ComposedSms, sms: AcceptedSms): Promise<void> {
    if (await this.outcomes.sent(fallback, composed, sms)) return;
    // Another fallback without an answer saw it in Twilio's list first. It left this one its own, or none.
    const reason = 'sms_taken_by_another_fallback';
    const step = { state: 'uncertain', reason, problem: null } as const;
    await this.outcomes.postponed(fallback, step, SHORTEST_LOOK_MILLISECONDS);
  }

  private isGivenUp(fallback: LockedFallback): boolean {
    return (
      fallback.unansweredAttempts >= MAXIMUM_UNANSWERED_ATTEMPTS ||
      this.age(fallback) >= this.giveUpAfterMilliseconds
    );
  }

  /** Of the current try, in milliseconds. */
  private age(fallback: LockedFallback): number {
    return fallback.now().getTime() - tryStartedAt(fallback).getTime();
  }

  private get giveUpAfterMilliseconds(): number {
    return this.options.giveUpAfterMilliseconds ?? 4 * 60 * 60_000;
  }
}
