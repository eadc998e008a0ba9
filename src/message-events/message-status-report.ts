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
