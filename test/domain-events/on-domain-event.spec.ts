import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import type { DomainEventPublisher } from '../../src/domain-events/domain-events.js';
import { OnDomainEvent } from '../../src/domain-events/on-domain-event.decorator.js';
import type { SmsFallbackAttemptDue } from '../../src/fallback/fallback.events.js';
import type { WhatsappPolicyFailed } from '../../src/message-events/policy-failure.js';
import type { ParcelDelivered } from './parcels.js';

/** Compile-time tests: each `@ts-expect-error` fails `npm run check:types` if the compiler finds no error. */
class Listeners {
  readonly heard: string[] = [];

  @OnDomainEvent('parcel.delivered')
  right(event: ParcelDelivered): void {
    this.heard.push(event.parcel);
  }

  @OnDomainEvent('whatsapp.policy_failed')
  async alsoRight(event: Pick<WhatsappPolicyFailed, 'messageSid'>): Promise<void> {
    await Promise.resolve(event.messageSid);
  }

  // @ts-expect-error -- another event's payload
  @OnDomainEvent('whatsapp.policy_failed')
  wrongPayload(event: SmsFallbackAttemptDue): void {
    this.heard.push(event.smsFallbackId);
  }

  // @ts-expect-error -- an undeclared event
  @OnDomainEvent('parcel.eaten')
  wrongName(): void {
    throw new Error('Nobody calls this');
  }
}

export async function publish(publisher: DomainEventPublisher, manager: EntityManager): Promise<void> {
  // @ts-expect-error -- no id, no time, no parcel
  await publisher.publish(manager, 'parcel.delivered', [{}]);
  // @ts-expect-error -- an undeclared event
  await publisher.publish(manager, 'parcel.eaten', []);
}

describe('@OnDomainEvent', () => {
  it.each([
    ['right', 'parcel.delivered'],
    ['alsoRight', 'whatsapp.policy_failed'],
  ] as const)('subscribes %s to %s without swallowing its errors, unlike @OnEvent', (method, name) => {
    const listener = Object.getOwnPropertyDescriptor(Listeners.prototype, method)?.value as object;
    expect(Reflect.getMetadata('EVENT_LISTENER_METADATA', listener)).toEqual([
      { event: name, options: { suppressErrors: false } },
    ]);
  });
});
