import type { SendError } from '../twilio/send-error.js';

/** An SMS to send. Either `from` or `messagingServiceSid` is set. */
export interface Sms {
  /**
   * A key for providers with idempotency keys: the fallback's id, and the number of the attempt after others that are
   * known to have failed. While an attempt is in doubt, the key stays the same.
   */
  readonly reference: string;
  /** The SID of the WhatsApp message that was not delivered. */
  readonly originalMessageSid: string;
  /** The account to send as. */
  readonly accountSid: string;
  /** E.164. */
  readonly to: string;
  /** E.164. */
  readonly from: string | null;
  readonly messagingServiceSid: string | null;
  /** At most 1600 characters. */
  readonly body: string;
  /** How long delivery may take, from 1 to 36000 seconds; after that the SMS would be too late. */
  readonly validityPeriodSeconds: number;
  /** The URL for the statuses of the SMS, with its query and fragment. */
  readonly statusCallbackUrl: string | null;
}

/** An SMS that was accepted. */
export interface AcceptedSms {
  readonly outcome: 'accepted';
  readonly messageSid: string;
  /** Twilio's status at that time, e.g. `queued`. */
  readonly status: string;
}

export type SendResult = AcceptedSms | SendError;

/** What a provider's list says about an SMS whose sending was not answered. Each list is sorted, oldest first. */
export interface AcceptedSearch {
  /** Every SMS like it. */
  readonly accepted: readonly AcceptedSms[];
  /** Every SMS that may be like it: the provider hides the recipient, the text, or both, e.g. for privacy. */
  readonly possible: readonly AcceptedSms[];
  /** False: there may be more of them than the provider shows. */
  readonly complete: boolean;
}

/**
 * Port for sending an SMS. Replace it to send by another way than Twilio's Messages API. Its conformance suite is
 * testing/sms-sender-conformance.ts.
 */
export abstract class SmsSender {
  /**
   * Sends the SMS once, without a retry, and always resolves within 15 seconds. A result is `rejected` or
   * `not_processed` only if it is certain that no SMS goes out.
   */
  abstract send(sms: Sms): Promise<SendResult>;

  /**
   * Looks for SMS like this one that were accepted since then. Used when the answer to `send` was lost. Only a complete
   * search that finds nothing, not even a possible match, shows that this SMS was not accepted.
   * @throws when the search is not possible now.
   */
  abstract findAccepted(sms: Sms, since: Date): Promise<AcceptedSearch | readonly AcceptedSms[]>;
}

/** Treats a bare list as the complete search of a provider that hides nothing. */
export function asSearch(found: AcceptedSearch | readonly AcceptedSms[]): AcceptedSearch {
  return 'accepted' in found ? found : { accepted: found, possible: [], complete: true };
}
