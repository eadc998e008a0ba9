import { v7 as uuidv7 } from 'uuid';
import type { DomainEvent } from '../domain-events/domain-event.js';

/** A waiting fallback is due. The event is published for that time. */
export interface SmsFallbackAttemptDue extends DomainEvent {
  /** `sms_fallbacks.id`. */
  readonly smsFallbackId: string;
}

/** A fallback has ended. One whose SMS was never sent may end again. */
export interface SmsFallbackEnded extends DomainEvent {
  /** `sms_fallbacks.id`. */
  readonly smsFallbackId: string;
  readonly originalMessageSid: string;
  readonly state: 'sent' | 'skipped' | 'failed';
  /** Why; null if it was sent. */
  readonly reason: string | null;
  /** Null without an SMS. */
  readonly smsMessageSid: string | null;
}

declare module '../domain-events/domain-event.js' {
  interface DomainEvents {
    'sms_fallback.ended': SmsFallbackEnded;
    'sms_fallback.attempt_due': SmsFallbackAttemptDue;
  }
}

/** How a fallback has ended. */
export type FallbackEnd = Pick<SmsFallbackEnded, 'originalMessageSid' | 'state' | 'reason' | 'smsMessageSid'>;

export function smsFallbackEnded(smsFallbackId: string, end: FallbackEnd): SmsFallbackEnded {
  return { id: uuidv7(), occurredAt: new Date().toISOString(), smsFallbackId, ...end };
}

/** @param at when the attempt is due. */
export function smsFallbackAttemptDue(smsFallbackId: string, at: Date): SmsFallbackAttemptDue {
  return { id: uuidv7(), occurredAt: at.toISOString(), smsFallbackId };
}
