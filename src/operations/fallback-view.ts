import { isRetryable } from '../fallback/retry-decision.js';
import type { SmsFallback } from '../fallback/sms-fallback.entity.js';
import type { MessageEvent } from '../message-events/message-event.entity.js';
import { masks } from '../messages/phone-number.js';

/** The fields of a fallback that operators see in commands and over HTTP. */
export function fallbackView(fallback: SmsFallback, showNumbers: boolean) {
  const { number, text } = masks(showNumbers);
  return {
    id: fallback.id,
    originalMessageSid: fallback.originalMessageSid,
    state: fallback.state,
    reason: fallback.reason,
    errorCode: fallback.lastErrorCode,
    error: text(fallback.lastError),
    attempts: fallback.attempts,
    accountSid: fallback.accountSid,
    to: number(fallback.toNumber),
    userId: number(fallback.userId ?? fallback.parentUserId),
    from: number(fallback.fromNumber),
    messagingServiceSid: fallback.messagingServiceSid,
    earlierAttempts: fallback.earlierAttempts.map((attempt) => ({ ...attempt, from: number(attempt.from) })),
    smsMessageSid: fallback.smsMessageSid,
    encoding: fallback.encoding,
    segments: fallback.segments,
    notCarriedOver: fallback.notCarriedOver,
    duplicateOf: fallback.duplicateOf,
    originalSentAt: fallback.originalSentAt,
    ageLimitIgnored: fallback.ageLimitIgnored,
    createdAt: fallback.createdAt,
    attemptStartedAt: fallback.attemptStartedAt,
    nextAttemptAt: fallback.nextAttemptAt,
    retriedAt: fallback.retriedAt,
    retriedBy: fallback.retriedBy,
    isRetryable: isRetryable(fallback),
    sentAt: fallback.sentAt,
    smsDeliveredAt: fallback.smsDeliveredAt,
    smsUndeliveredAt: fallback.smsUndeliveredAt,
    smsErrorCode: fallback.smsErrorCode,
    duplicateDeliveryAt: fallback.duplicateDeliveryAt,
    erasedAt: fallback.erasedAt,
  };
}

/** The text of an SMS. It is personal data, so it is shown for one fallback and never in a list. */
export function smsTextView({ body, truncated }: SmsFallback, showNumbers: boolean) {
  return { text: masks(showNumbers).text(body), truncated };
}

/** An event without the application's data and without the payload. */
export type EventRow = Pick<
  MessageEvent,
  | 'id'
  | 'messageSid'
  | 'messageStatus'
  | 'channel'
  | 'toNumber'
  | 'fromNumber'
  | 'userId'
  | 'parentUserId'
  | 'errorCode'
  | 'errorMessage'
  | 'accountSid'
  | 'source'
  | 'smsFallbackId'
  | 'createdAt'
>;

export function eventView(event: EventRow, showNumbers: boolean) {
  const { number, text } = masks(showNumbers);
  return {
    id: event.id,
    messageSid: event.messageSid,
    channel: event.channel,
    status: event.messageStatus,
    errorCode: event.errorCode,
    error: text(event.errorMessage),
    to: number(event.toNumber),
    userId: number(event.userId ?? event.parentUserId),
    from: number(event.fromNumber),
    accountSid: event.accountSid,
    source: event.source,
    fallbackId: event.smsFallbackId,
    createdAt: event.createdAt,
  };
}

/** An event of a fallback's original message or of its SMS. */
export function fallbackEventView(event: EventRow, fallback: SmsFallback, showNumbers: boolean) {
  const message = event.messageSid === fallback.originalMessageSid ? ('original' as const) : ('sms' as const);
  return { message, ...eventView(event, showNumbers) };
}
