/** The parts of the operators' API answers that the page shows. It is JSON, so times are strings. */

export interface Statistics {
  readonly from: string;
  readonly to: string;
  readonly bucket: 'minute' | 'hour' | 'day';
  readonly events: readonly {
    readonly channel: string;
    readonly errorCode: string | null;
    readonly count: number;
  }[];
  readonly funnel: Funnel;
  readonly course: readonly CoursePoint[];
  readonly timeToSms: { readonly p50: number | null; readonly p95: number | null };
}

export interface Funnel {
  readonly policyFailures: number;
  readonly smsSent: number;
  readonly smsDelivered: number;
  readonly open: number;
  readonly skipped: readonly EndedWithout[];
  readonly failed: readonly (EndedWithout & { readonly errorCode: string | null })[];
}

export interface EndedWithout {
  readonly reason: string;
  readonly meaning: string;
  readonly count: number;
}

export interface CoursePoint {
  readonly at: string;
  readonly policyFailures: number;
  readonly smsSent: number;
  readonly smsDelivered: number;
  readonly skipped: number;
  readonly failed: number;
}

export interface ErrorCodes {
  readonly items: readonly { readonly code: string; readonly meaning: string }[];
}

/** A period in which an account cannot use Twilio. */
export interface Outage {
  readonly accountSid: string;
  readonly reason: string;
  readonly meaning: string;
  readonly remedy: string;
  readonly errorCode: string;
  readonly operations: readonly ('send' | 'read' | 'templates')[];
  readonly since: string;
  readonly waiting: number;
}

/** The state of the domain event queue and of Twilio. */
export interface Queue {
  readonly waiting: number;
  readonly overdue: number;
  readonly oldestAgeSeconds: number;
  readonly exhausted: number;
  readonly overdueFallbacks: number;
  /** Seconds; null if nothing is known. */
  readonly secondsToDrain: number | null;
  readonly pace: { readonly waiting: number; readonly secondsToDrain: number };
  readonly twilio: { readonly status: 'up' | 'down'; readonly outages: readonly Outage[] };
}

/** The newest items of a list. */
export interface Newest<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

export interface Fallback {
  readonly id: string;
  readonly originalMessageSid: string;
  readonly state: 'claimed' | 'sending' | 'uncertain' | 'sent' | 'skipped' | 'failed';
  readonly reason: string | null;
  readonly meaning: string;
  readonly errorCode: string | null;
  readonly to: string | null;
  readonly userId: string | null;
  readonly earlierAttempts: readonly EarlierAttempt[];
  readonly encoding: string | null;
  readonly segments: number | null;
  readonly notCarriedOver: readonly string[];
  readonly duplicateOf: string | null;
  readonly originalSentAt: string | null;
  readonly createdAt: string;
  readonly nextAttemptAt: string;
  readonly smsErrorCode: string | null;
  readonly duplicateDeliveryAt: string | null;
  readonly erasedAt: string | null;
  readonly retriedAt: string | null;
  readonly retriedBy: string | null;
  readonly isRetryable: boolean;
}

/** An attempt that failed for certain. */
export interface EarlierAttempt {
  readonly at: string;
  readonly from: string | null;
  readonly messagingServiceSid: string | null;
  readonly outcome: 'sender_refused' | 'never_sent';
  readonly code: string;
  readonly smsMessageSid: string | null;
}

export interface StoredEvent {
  readonly id: string;
  readonly messageSid: string;
  readonly channel: string;
  readonly status: string;
  readonly errorCode: string | null;
  readonly to: string | null;
  readonly userId: string | null;
  readonly from: string | null;
  readonly source: 'callback' | 'poll';
  readonly createdAt: string;
}

/** One of the two messages of a journey. */
export interface Leg {
  readonly messageSid: string;
  readonly channel: string | null;
  readonly currentStatus: string | null;
  readonly events: readonly StoredEvent[];
}

export interface Journey extends Leg {
  readonly role: 'original' | 'fallback_sms' | 'alone';
  readonly decision: string;
  readonly fallback: Fallback | null;
  readonly counterpart: Leg | null;
}

export interface Retry {
  readonly decision: string;
  readonly meaning: string;
}
