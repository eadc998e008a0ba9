import { OnEvent } from '@nestjs/event-emitter';
import type { DomainEventName, DomainEvents } from './domain-events.js';

/** The errors of listeners during the delivery, by event. */
const failures = new WeakMap<object, unknown[]>();

/**
 * Emits an event and waits for all its listeners. `emitAsync` alone rejects with the first listener, and the event
 * would be delivered again while the others still run.
 * @throws the error of a listener; an AggregateError if several failed.
 */
export async function delivery(event: object, emit: () => Promise<unknown>): Promise<void> {
  const errors: unknown[] = [];
  failures.set(event, errors);
  try {
    await emit();
  } finally {
    failures.delete(event);
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('; '));
}

/** Runs a listener, and keeps its error until all others have ended. Outside a delivery, it rejects. */
export async function listen(event: object, listener: () => unknown): Promise<void> {
  const errors = failures.get(event);
  if (errors === undefined) {
    await listener();
    return;
  }
  try {
    await listener();
  } catch (error) {
    errors.push(error);
  }
}

/**
 * Subscribes a provider's method to a domain event. The event counts as handled when every listener has resolved;
 * if one rejects, all receive it again later. So a listener runs at least once and must be idempotent.
 */
export function OnDomainEvent<Name extends DomainEventName>(name: Name) {
  // By default, @OnEvent only logs a listener's error, and the event would be lost.
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
