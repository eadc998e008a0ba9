import { randomBytes } from 'node:crypto';
import type { FormParameters } from './form-parameters.js';

/** A message as the simulated Twilio knows it. A live view: `status` and the dates change as its steps play. */
export interface SimulatedMessage {
  /** `SM` (or `MM`, with media) and 32 hexadecimal digits. */
  readonly sid: string;
  readonly accountSid: string;
  /** E.164 or, on WhatsApp, a user ID, with the channel's prefix: `+15551230000`, `whatsapp:US.13491208655302`. */
  readonly to: string;
  /** Like `to`; undefined until a Messaging Service has picked a sender. */
  readonly from?: string;
  /** The text that a recipient would read; for a template, the rendered text. */
  readonly body: string;
  readonly messagingServiceSid?: string;
  /** The URL of its callbacks, with its fragment; without one no callback is sent. */
  readonly statusCallback?: string;
  /** Seconds. */
  readonly validityPeriod?: number;
  readonly contentSid?: string;
  readonly mediaCount: number;
  /** Default `outbound-api`. */
  readonly direction?: 'inbound' | 'outbound-api';
  /** The WhatsApp user IDs that its callbacks carry, exactly as they are sent. */
  readonly externalUserId?: string;
  readonly parentExternalUserId?: string;
  /** One of the 13 statuses of Twilio's `message_enum_status`, or one that it may add. */
  readonly status: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly dateCreated: Date;
  readonly dateUpdated: Date;
  /** Undefined until the message has been sent. */
  readonly dateSent?: Date;
  /** Every parameter of the request that made it. */
  readonly parameters: FormParameters;
}

/** A new message SID, `SM` and 32 random hexadecimal digits. */
export function newMessageSid(prefix: 'SM' | 'MM' = 'SM'): string {
  return prefix + randomBytes(16).toString('hex');
}

/** The progress of each status; one that is not listed is final. */
const progress: Readonly<Record<string, number>> = {
  accepted: 0,
  scheduled: 0,
  queued: 1,
  sending: 2,
  sent: 3,
  read: 5,
};
const ended = 4;

/**
 * Whether `next` may replace `current`: a message never goes back, so steps in the wrong order reorder its callbacks,
 * as a network would, and not the message itself.
 */
export function isProgress(current: string, next: string): boolean {
  return (progress[next] ?? ended) >= (progress[current] ?? ended);
}

/** Whether a message with this status has left Twilio, so that it has a date_sent. */
export function hasLeft(status: string): boolean {
  return (progress[status] ?? ended) >= 3;
}
