import type { DomainEvent } from '../domain-events/domain-event.js';

/** The query parameter in the status callback URL of a fallback's SMS that names the fallback. */
export const SMS_FALLBACK_ID_PARAMETER = 'sms_fallback_id';

/** What a status callback says about a message, in the columns of `message_events`. */
export interface MessageStatusReport {
  readonly messageSid: string;
  /** As Twilio sent it; may be an unknown status. */
  readonly messageStatus: string;
  /** The prefix of the address: `whatsapp`, `rcs`, `messenger`, …; `sms` without a prefix. */
  readonly channel: string;
  /** The recipient's address without its prefix; null for a user ID or a masked number, or if Twilio left it out. */
  readonly toNumber: string | null;
  readonly fromNumber: string | null;
  /** WhatsApp's business-scoped ID of the recipient, e.g. `US.13491208655302741918`. */
  readonly userId?: string | null;
  /** The recipient's ID for the parent business, e.g. `US.ENT.11815799212886844830`. */
  readonly parentUserId?: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly accountSid: string;
  /** Every parameter as received. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** `callback`: Twilio called. `poll`: Twilio was asked. */
  readonly source: 'callback' | 'poll';
  /** The fallback whose SMS this is about. */
  readonly smsFallbackId: string | null;
  /** The public URL, without a query, that Twilio called; null if the report came another way. */
  readonly callbackUrl: string | null;
}

/**
 * Error codes of an SMS that Twilio accepted and then never sent, with the requirement for another attempt:
 * - `time`: the same sender can send it later;
 * - `other_sender`: this sender cannot send it to this person.
 *
 * A code that is not listed may stand for an SMS that reached the carrier, so it never causes another attempt.
 * Source: Twilio's error pages, https://www.twilio.com/docs/api/errors/30001 and so on.
 */
export const NEVER_SENT: ReadonlyMap<string, 'time' | 'other_sender'> = new Map([
  ['30001', 'time'], // queue overflow; of a Messaging Service it is reported after the SMS was accepted
  ['30017', 'time'], // carrier congestion
  ['30021', 'time'], // internal failure of the Messaging Service
  ['30022', 'time'], // rate limit of the A2P campaign
  ['30047', 'time'], // Compliance Toolkit: the SMS could not be rescheduled
  ['30610', 'time'], // Compliance Toolkit: outside the hours in which the SMS may be sent
  ['30018', 'other_sender'], // the carrier asks for a registered sender ID
  ['30024', 'other_sender'], // the carrier does not know the numeric sender
  ['30032', 'other_sender'], // toll-free number not verified
  ['30034', 'other_sender'], // number not registered for A2P 10DLC
]);

export const NEVER_SENT_CODES: readonly string[] = [...NEVER_SENT.keys()];

/** Whether a report says that a fallback's SMS was never sent. */
export function isNeverSentSms({
  smsFallbackId,
  messageStatus,
  errorCode,
}: {
  readonly smsFallbackId: string | null;
  readonly messageStatus: string;
  readonly errorCode: string | null;
}): boolean {
  return (
    smsFallbackId !== null &&
    (messageStatus === 'failed' || messageStatus === 'undelivered') &&
    errorCode !== null &&
    NEVER_SENT.has(errorCode)
  );
}

/** Twilio accepted the SMS of a fallback, and has reported that it never sent it. */
export interface SmsNeverSent extends DomainEvent {
  /** The fallback's id, as the URL of the SMS's callbacks carries it. */
  readonly smsFallbackId: string;
  /** The SMS's SID. */
  readonly messageSid: string;
}

/** A status of a message was stored. Published only for the reports that the option `statusRecorded` selects. */
export interface MessageStatusRecorded
  extends
    DomainEvent,
    Pick<
      MessageStatusReport,
      'messageSid' | 'messageStatus' | 'channel' | 'accountSid' | 'toNumber' | 'errorCode' | 'errorMessage'
    > {
  /** `message_events.id`, which is also the event's id. */
  readonly messageEventId: string;
}

declare module '../domain-events/domain-event.js' {
  interface DomainEvents {
    'message.status_recorded': MessageStatusRecorded;
    'sms.never_sent': SmsNeverSent;
  }
}
