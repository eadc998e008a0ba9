import type { DomainEvent } from '../domain-events/domain-events.js';

/**
 * A message's row in `messages` could not be updated, because it was locked or the table refused it. Published for
 * later.
 */
export interface MessageLinkPostponed extends DomainEvent {
  readonly messageSid: string;
  /** How often the application's table has refused it since. */
  readonly refusals?: number;
}

declare module '../domain-events/domain-events.js' {
  interface DomainEvents {
    'message_link.postponed': MessageLinkPostponed;
  }
}
