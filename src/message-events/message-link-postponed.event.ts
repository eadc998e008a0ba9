import type { DomainEvent } from '../domain-events/domain-events.js';

/** A message's row in `messages` could not follow its events, because somebody had it locked. Published for later. */
export interface MessageLinkPostponed extends DomainEvent {
  readonly messageSid: string;
}

declare module '../domain-events/domain-events.js' {
  interface DomainEvents {
    'message_link.postponed': MessageLinkPostponed;
  }
}
