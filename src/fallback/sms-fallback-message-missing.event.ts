import type { DomainEvent } from '../domain-events/domain-events.js';

/** An SMS was sent and recorded, but the application's `messages` table did not accept its row. */
export interface SmsFallbackMessageMissing extends DomainEvent {
  /** `sms_fallbacks.id`. */
  readonly smsFallbackId: string;
}

declare module '../domain-events/domain-events.js' {
  interface DomainEvents {
    'sms_fallback.message_missing': SmsFallbackMessageMissing;
  }
}
