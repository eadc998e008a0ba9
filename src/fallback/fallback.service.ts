import { Inject, Injectable } from '@nestjs/common';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { SMS_FALLBACK_ID_PARAMETER } from '../message-events/message-status-report.js';
import type { WhatsappPolicyFailed } from '../message-events/whatsapp-policy-failed.event.js';
import type { SendError } from '../twilio/send-error.js';
import { earliestAcceptance, lookingSince, tryStartedAt } from './current-try.js';
import { FallbackOutcomes } from './fallback-outcomes.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { FallbackStore, type LockedFallback } from './fallback.store.js';
import { growingDelay } from './retry-delay.js';
import { type ComposedSms, SmsComposer } from './sms-composer.js';
import { SmsFinder } from './sms-finder.js';
import { type AcceptedSms, type Sms, SmsSender } from './sms-sender.js';

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

  private async send(fallback: LockedFallback, composed: ComposedSms): Promise<void> {
    await this.store.beginSending(fallback, composed);
    const result = await this.sender.send(this.smsOf(fallback, composed));
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
      statusCallbackUrl:
        callbackUrl === null ? null : `${callbackUrl}?${SMS_FALLBACK_ID_PARAMETER}=${id}#rc=5&rp=all`,
    };
  }

  private async waitForOriginalMessage(fallback: LockedFallback): Promise<void> {
    const age = fallback.now().getTime() - tryStartedAt(fallback).getTime();
    if (age >= (this.options.originalMessageWaitMilliseconds ?? 5 * 60_000)) {
      await this.outcomes.skipped(fallback, 'original_message_not_found');
    } else {
      const delay = growingDelay(age, SHORTEST_LOOK_MILLISECONDS);
      await this.outcomes.postponed(fallback, 'claimed', 'waiting_for_original_message', delay, null);
    }
  }

  private async retryUnlessRejected(fallback: LockedFallback, problem: SendError): Promise<void> {
    if (problem.outcome === 'rejected') {
      await this.outcomes.failed(fallback, 'rejected_by_twilio', problem);
      return;
    }
    const age = fallback.now().getTime() - tryStartedAt(fallback).getTime();
    if (age >= this.giveUpAfterMilliseconds) {
      await this.outcomes.failed(fallback, 'twilio_unavailable', problem);
      return;
    }
    const asked = (problem.retryAfterSeconds ?? 0) * 1_000;
    const delay = Math.max(asked, growingDelay(age, SHORTEST_LOOK_MILLISECONDS));
    await this.outcomes.postponed(fallback, 'claimed', 'twilio_unavailable', delay, problem);
  }

  /** Finds out whether the SMS was accepted. It is sent again only when that is known not to be so. */
  private async settle(fallback: LockedFallback): Promise<void> {
    const { attemptStartedAt, toNumber, body } = fallback;
    if (attemptStartedAt === null || toNumber === null || body === null) {
      throw new Error(`The fallback ${fallback.id} is ${fallback.state} but has no SMS`);
    }
    const composed: ComposedSms = { ...fallback, toNumber, body };
    const elapsed = fallback.now().getTime() - lookingSince(attemptStartedAt, fallback).getTime();
    const found = await this.finder.find(
      fallback,
      this.smsOf(fallback, composed),
      earliestAcceptance(attemptStartedAt, fallback),
    );
    if (found.outcome === 'accepted') {
      await this.markSent(fallback, composed, found);
    } else if (found.outcome === 'unknown' || elapsed < (this.options.settlingMilliseconds ?? 30_000)) {
      await this.keepLooking(fallback, elapsed, found.problem);
    } else if (fallback.unansweredAttempts >= MAXIMUM_UNANSWERED_ATTEMPTS) {
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
      await this.outcomes.postponed(fallback, 'uncertain', 'no_answer_from_twilio', delay, problem);
    }
  }

  private async markSent(fallback: LockedFallback, composed: ComposedSms, sms: AcceptedSms): Promise<void> {
    if (await this.outcomes.sent(fallback, composed, sms)) return;
    // Another fallback without an answer saw it in Twilio's list first. It left this one its own, or none.
    await this.outcomes.postponed(
      fallback,
      'uncertain',
      'sms_taken_by_another_fallback',
      SHORTEST_LOOK_MILLISECONDS,
      null,
    );
  }

  private get giveUpAfterMilliseconds(): number {
    return this.options.giveUpAfterMilliseconds ?? 4 * 60 * 60_000;
  }
}
