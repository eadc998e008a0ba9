import { OnEvent } from '@nestjs/event-emitter';
import type { DomainEventName, DomainEvents } from './domain-event.js';

/** The deliveries under way, by event. */
const deliveries = new WeakMap<object, Delivery>();

/** One delivery of an event to its listeners, or to those that have not handled it yet. */
export class Delivery {
  private readonly called = new Set<string>();
  private readonly handled = new Set<string>();
  private readonly errors: unknown[] = [];
  private isTracked = true;

  /** @param only the names of the listeners that are left; undefined: all. */
  constructor(
    private readonly event: object,
    private readonly only?: readonly string[],
  ) {}

  /**
   * Emits the event and waits for all its listeners. `emitAsync` alone rejects with the first listener, and the event
   * would be delivered again while the others still run.
   * @throws the error of a listener; an AggregateError if several failed.
   */
  async emit(emit: () => Promise<unknown>): Promise<void> {
    deliveries.set(this.event, this);
    try {
      await emit();
    } catch (error) {
      // It comes from a listener that does not use @OnDomainEvent.
      this.isTracked = false;
      throw error;
    } finally {
      deliveries.delete(this.event);
    }
    const { errors } = this;
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('; '));
    if (this.only !== undefined && this.called.size === 0)
      throw new Error(`None of the listeners that are left exists: ${this.only.join(', ')}`);
  }

  async call(name: string, listener: () => unknown): Promise<void> {
    if (this.only?.includes(name) === false) return;
    this.called.add(name);
    try {
      await listener();
      this.handled.add(name);
    } catch (error) {
      this.errors.push(error);
    }
  }

  /** Returns the listeners that have to receive the event again; undefined: all. */
  left(): string[] | undefined {
    if (!this.isTracked || this.handled.size === 0) return this.only?.slice();
    return [...this.called].filter((name) => !this.handled.has(name));
  }
}

/**
 * Subscribes a provider's method to a domain event. The event counts as handled when every listener has resolved.
 * Those that rejected receive it again later; those that resolved do not. After a crash all may, so a listener runs at
 * least once and must be idempotent. A listener is identified by its class and method name.
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
    const listenerName = `${target.constructor.name}.${key}`;
    const listening = async function (this: unknown, event: DomainEvents[Name]): Promise<void> {
      const delivery = deliveries.get(event);
      const call = () => listener.call(this, event);
      // Outside a delivery it rejects.
      await (delivery === undefined ? call() : delivery.call(listenerName, call));
    };
    Object.assign(descriptor, { value: listening });
    subscribe(target, key, descriptor);
  };
}
