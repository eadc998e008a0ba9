import { v7 as uuidv7 } from 'uuid';
import type { DomainEvent } from '../domain-events/domain-events.js';

/** A waiting fallback is due. The event is published for that time. */
export interface SmsFallbackAttemptDue extends DomainEvent {
  /** `sms_fallbacks.id`. */
  readonly smsFallbackId: string;
}

declare module '../domain-events/domain-events.js' {
  interface DomainEvents {
    'sms_fallback.attempt_due': SmsFallbackAttemptDue;
  }
}

/** @param at when the attempt is due. */
export function smsFallbackAttemptDue(smsFallbackId: string, at: Date): SmsFallbackAttemptDue {
  return { id: uuidv7(), occurredAt: at.toISOString(), smsFallbackId };
}
