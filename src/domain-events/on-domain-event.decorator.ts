import { OnEvent } from '@nestjs/event-emitter';
import { listen } from './delivery.js';
import type { DomainEventName, DomainEvents } from './domain-events.js';

/**
 * Subscribes a provider's method to a domain event. The event counts as handled when every listener has resolved;
 * when one rejects, all get it again later. So a listener runs at least once and must be idempotent.
 */
export function OnDomainEvent<Name extends DomainEventName>(name: Name) {
  // By default @OnEvent logs a listener's error and goes on, and the event would be lost.
  const subscribe = OnEvent(name, { suppressErrors: false });
  return <Listener extends (event: DomainEvents[Name]) => Promise<void> | void>(
    target: object,
    key: string,
    descriptor: TypedPropertyDescriptor<Listener>,
  ): void => {
    const listener = descriptor.value;
    if (listener === undefined) throw new TypeError(`@OnDomainEvent('${name}') belongs on a method`);
    const listening = function (this: unknown, event: DomainEvents[Name]): Promise<void> {
      return listen(event, () => listener.call(this, event));
    };
    Object.assign(descriptor, { value: listening });
    subscribe(target, key, descriptor);
  };
}
