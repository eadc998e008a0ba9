import { Inject, Injectable, Optional } from '@nestjs/common';
import type { MessageInstance } from 'twilio/lib/rest/api/v2010/account/message.js';
import { parseAddress, type UserIds, userIdsOf } from '../message-events/channel-address.js';
import { isDelivered, type LoggedEvent, MessageHistory } from '../message-events/message-history.js';
import { NEVER_SENT, SMS_FALLBACK_ID_PARAMETER } from '../message-events/message-status-report.js';
import { type WhatsappPolicyFailed, whatsappPolicyFailed } from '../message-events/policy-failure.js';
import { type OriginalMessage, OriginalMessages } from '../messages/original-messages.js';
import { isE164, parseSender, parseStoredNumber, smsNumber } from '../messages/phone-number.js';
import { classifySendError, type SendError } from '../twilio/send-error.js';
import { TwilioAccounts } from '../twilio/twilio-accounts.js';
import { checkReason, FallbackPolicy, type PolicyReason, send } from './fallback-policy.js';
import type { SkipReason } from './fallback-reasons.js';
import { type FallbackModuleOptions, MODULE_OPTIONS_TOKEN } from './fallback.module-definition.js';
import type { LockedFallback } from './fallback.store.js';
import {
  deadlineOf,
  originalSentAt,
  secondsLeft,
  sentAtByLog,
  validityPeriodSeconds,
} from './original-age.js';
import { triedInCurrentTry } from './retry-decision.js';
import type { EarlierAttempt, SmsFallback } from './sms-fallback.entity.js';
import type { Sms } from './sms-sender.js';
import { SmsTexts } from './template-content.js';

/** The sender of an SMS: a number in E.164, or a Messaging Service. */
export type Sender = Pick<SmsFallback, 'fromNumber' | 'messagingServiceSid'>;

/** Chooses the sender of an SMS. */
@Injectable()
export class SmsSenders {
  constructor(@Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions) {}

  /**
   * Returns the senders left to try, best first: the Messaging Service of the account; else the company's number, then
   * the default one. A sender that could not send in the current try is left out.
   */
  find(
    fallback: Pick<SmsFallback, 'accountSid' | 'earlierAttempts' | 'retriedAt' | 'createdAt'>,
    company: OriginalMessage['company'],
  ): Sender[] {
    const failed = triedInCurrentTry(fallback).filter(isSendersFault);
    return this.candidates(fallback.accountSid, company).filter(
      (sender) => !failed.some((attempt) => isSame(attempt, sender)),
    );
  }

  private candidates(accountSid: string, company: OriginalMessage['company']): Sender[] {
    const { messagingService, defaultFrom } = this.options;
    // A Messaging Service belongs to one account; a subaccount cannot send through its parent's.
    if (messagingService?.accountSid === accountSid) {
      return [{ fromNumber: null, messagingServiceSid: messagingService.sid }];
    }
    const numbers = [company?.phoneNumber, defaultFrom].flatMap((text) => parseSender(text ?? '') ?? []);
    return [...new Set(numbers)].map((fromNumber) => ({ fromNumber, messagingServiceSid: null }));
  }
}

function isSendersFault({ outcome, code }: EarlierAttempt): boolean {
  return outcome === 'sender_refused' || NEVER_SENT.get(code) === 'other_sender';
}

function isSame({ from, messagingServiceSid }: EarlierAttempt, sender: Sender): boolean {
  return from === sender.fromNumber && messagingServiceSid === sender.messagingServiceSid;
}

/** The SMS of a fallback before it is handed to the sender. */
export type ComposedSms = Pick<
  SmsFallback,
  | 'fromNumber'
  | 'messagingServiceSid'
  | 'truncated'
  | 'encoding'
  | 'segments'
  | 'notCarriedOver'
  | 'originalSentAt'
  | 'conversationId'
> & {
  readonly toNumber: string;
  readonly body: string;
};

export type Composition =
  | { readonly kind: 'composed'; readonly sms: ComposedSms; readonly nextSender: Sender | null }
  | { readonly kind: 'original_message_missing' }
  | { readonly kind: 'deferred'; readonly until: Date }
  | {
      readonly kind: 'skipped';
      readonly reason: SkipReason | PolicyReason;
      readonly originalSentAt: Date | null;
    }
  | { readonly kind: 'unavailable'; readonly problem: SendError };

/** Facts about an original from the application, the log, and Twilio. */
interface Known {
  readonly original: OriginalMessage;
  readonly events: readonly LoggedEvent[];
  /** Twilio's answer; null if Twilio was not asked or does not know the message. */
  readonly answer: MessageInstance | null;
}

/** Decides what the SMS says, to whom, and from whom, or why there is none. */
@Injectable()
export class SmsComposer {
  constructor(
    private readonly originalMessages: OriginalMessages,
    private readonly history: MessageHistory,
    private readonly accounts: TwilioAccounts,
    private readonly senders: SmsSenders,
    private readonly texts: SmsTexts,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: FallbackModuleOptions,
    @Optional() private readonly policy?: FallbackPolicy,
  ) {}

  /** Returns `unavailable` if Twilio has to be asked about the original and does not answer. */
  async compose(fallback: LockedFallback): Promise<Composition> {
    const [original, events] = await Promise.all([
      this.originalMessages.findByTwilioSid(fallback.originalMessageSid),
      this.history.findEvents(fallback.originalMessageSid),
    ]);
    if (original === null) return { kind: 'original_message_missing' };
    const sentAt = sentAtByLog(events);
    const skip = this.skipByLog(fallback, original, events, sentAt);
    if (skip !== null) return skipped(skip, sentAt);
    const decision = (await this.policy?.decide(failureOf(fallback, events), original)) ?? send;
    if (decision.kind === 'skip') return skipped(checkReason(decision.reason), sentAt);
    if (decision.kind === 'wait' && decision.until > fallback.now())
      return { kind: 'deferred', until: this.beforeTooLate(fallback, decision.until, sentAt) };
    const number = await this.knownNumber(fallback, original, events);
    const asksTwilio = sentAt === null || number === null || this.texts.asksTwilio(original);
    const answer = asksTwilio ? await this.fetch(fallback) : null;
    if (answer !== null && 'problem' in answer) return { kind: 'unavailable', problem: answer.problem };
    return this.composeFrom(fallback, { original, events, answer }, number);
  }

  /** Builds the SMS for Twilio. */
  smsOf(fallback: LockedFallback, composed: ComposedSms): Sms {
    const { id, accountSid, originalMessageSid, statusCallbackUrl, ageLimitIgnored } = fallback;
    const { originalSentAt: sentAt } = composed;
    const callbackUrl =
      this.options.statusCallbackUrl ?? statusCallbackUrl ?? this.options.webhookUrl ?? null;
    return {
      reference: referenceOf(fallback),
      originalMessageSid,
      accountSid,
      to: composed.toNumber,
      from: composed.fromNumber,
      messagingServiceSid: composed.messagingServiceSid,
      body: composed.body,
      validityPeriodSeconds: validityPeriodSeconds(
        ageLimitIgnored || sentAt === null ? null : secondsLeft(sentAt, fallback.now(), this.options),
        this.options,
      ),
      // By default Twilio tries a callback once; the fragment requests five retries after any failure.
      statusCallbackUrl:
        callbackUrl === null ? null : `${callbackUrl}?${SMS_FALLBACK_ID_PARAMETER}=${id}#rc=5&rp=all`,
    };
  }

  /** Decisions that do not need Twilio come first. */
  private skipByLog(
    fallback: LockedFallback,
    { company, conversationId }: OriginalMessage,
    events: readonly LoggedEvent[],
    sentAt: Date | null,
  ): SkipReason | null {
    if (isDelivered(events)) return 'delivered_meanwhile';
    if (sentAt !== null && this.isTooOld(fallback, sentAt)) return 'too_late';
    return company === null && conversationId !== null ? 'conversation_without_company' : null;
  }

  private async composeFrom(
    fallback: LockedFallback,
    { original, events, answer }: Known,
    known: string | null,
  ): Promise<Composition> {
    const sentAt = originalSentAt(events, {
      twilioSentAt: dateOrNull(answer?.dateSent),
      storedAt: original.createdAt ?? null,
      claimedAt: fallback.createdAt,
    });
    const skip = (reason: SkipReason) => skipped(reason, sentAt);
    if (answer !== null && isDelivered([{ messageStatus: answer.status }]))
      return skip('delivered_meanwhile');
    if (this.isTooOld(fallback, sentAt)) return skip('too_late');
    const [sender, nextSender = null] = this.senders.find(fallback, original.company);
    if (sender === undefined) return skip('no_sender_number');
    const toNumber = known ?? (await this.numberByTwilio(fallback, answer));
    if (toNumber === null)
      return skip(hasAddress(fallback, events, answer) ? 'recipient_number_unknown' : 'no_recipient');
    const text = await this.texts.compose(fallback.accountSid, original, events, answer);
    if ('reason' in text) return skip(text.reason);
    const { fromNumber, messagingServiceSid } = sender;
    const { conversationId } = original;
    const sms = {
      ...text,
      toNumber,
      fromNumber,
      messagingServiceSid,
      conversationId,
      originalSentAt: sentAt,
    };
    return { kind: 'composed', sms, nextSender };
  }

  /** The recipient in the form that SMS needs, best source first: this message, the application, the person's ID. */
  private async knownNumber(
    { accountSid, toNumber, userId, parentUserId }: SmsFallback,
    { recipient }: OriginalMessage,
    events: readonly LoggedEvent[],
  ): Promise<string | null> {
    const written = [toNumber, ...events.map((event) => event.toNumber), parseStoredNumber(recipient ?? '')];
    const found = firstSmsNumber(written);
    if (found !== null) return found;
    const ids: UserIds = {
      userId: userId ?? events.find((event) => event.userId !== null)?.userId ?? null,
      parentUserId: parentUserId ?? events.find((event) => event.parentUserId !== null)?.parentUserId ?? null,
    };
    return firstSmsNumber([await this.history.findNumber(accountSid, ids)]);
  }

  private async numberByTwilio(
    { accountSid }: SmsFallback,
    answer: MessageInstance | null,
  ): Promise<string | null> {
    if (answer === null) return null;
    const address = parseAddress(answer.to);
    if (address.kind === 'phone') return firstSmsNumber([address.text]);
    return firstSmsNumber([await this.history.findNumber(accountSid, userIdsOf([address]))]);
  }

  /** A fallback that waits for longer than its original may be old ends when it is too old. */
  private beforeTooLate({ ageLimitIgnored }: LockedFallback, until: Date, sentAt: Date | null): Date {
    const deadline = ageLimitIgnored || sentAt === null ? until : deadlineOf(sentAt, this.options);
    return deadline < until ? deadline : until;
  }

  private isTooOld({ ageLimitIgnored, now }: LockedFallback, sentAt: Date): boolean {
    return !ageLimitIgnored && secondsLeft(sentAt, now(), this.options) <= 0;
  }

  private async fetch({ accountSid, originalMessageSid }: SmsFallback) {
    try {
      return await this.accounts.fetchMessage(accountSid, originalMessageSid);
    } catch (error) {
      return { problem: classifySendError(error) };
    }
  }
}

function firstSmsNumber(numbers: readonly (string | null)[]): string | null {
  for (const number of numbers) {
    const found = number === null || !isE164(number) ? null : smsNumber(number);
    if (found !== null) return found;
  }
  return null;
}

/** Whether anything names the recipient, even without a number. */
function hasAddress(
  { toNumber, userId, parentUserId }: SmsFallback,
  events: readonly LoggedEvent[],
  answer: MessageInstance | null,
): boolean {
  const named = [toNumber, userId, parentUserId, answer?.to, ...events.map(({ to }) => to)];
  return named.some((address) => (address ?? '') !== '');
}

/** Twilio's library types the date as always present, but it may be missing. */
function dateOrNull(date: Date | null | undefined): Date | null {
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date : null;
}

/** The event that the fallback was claimed for. Its row in the log may have been deleted. */
function failureOf(fallback: LockedFallback, events: readonly LoggedEvent[]): WhatsappPolicyFailed {
  const {
    messageEventId,
    originalMessageSid: messageSid,
    accountSid,
    toNumber,
    userId,
    parentUserId,
  } = fallback;
  const { messageStatus = 'failed', errorCode = null } = events.find(({ id }) => id === messageEventId) ?? {};
  const failure = { messageSid, accountSid, messageStatus, errorCode, toNumber, userId, parentUserId };
  const callbackUrl = fallback.statusCallbackUrl;
  return whatsappPolicyFailed(messageEventId, { ...failure, callbackUrl }, fallback.createdAt);
}

/** A provider answers a known key as it did before, so an attempt after one that has failed needs another key. */
function referenceOf({ id, earlierAttempts }: SmsFallback): string {
  return earlierAttempts.length === 0 ? id : `${id}:${earlierAttempts.length + 1}`;
}

function skipped(reason: SkipReason | PolicyReason, originalSentAt: Date | null): Composition {
  return { kind: 'skipped', reason, originalSentAt };
}
