import { Injectable, Module } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import type { DomainEvent } from '../../src/domain-events/domain-event.js';
import { DomainEventPublisher } from '../../src/domain-events/domain-events.js';
import { OnDomainEvent } from '../../src/domain-events/on-domain-event.decorator.js';
import type { WhatsappPolicyFailed } from '../../src/message-events/policy-failure.js';
import { InjectDatabase } from '../../src/process/inject-database.js';

/** A module of another team: an event of its own, published and heard, and a listener to an event of the service. */
export interface ParcelDelivered extends DomainEvent {
  readonly parcel: string;
}

declare module '../../src/domain-events/domain-event.js' {
  interface DomainEvents {
    'parcel.delivered': ParcelDelivered;
    /** Nobody listens to this one. */
    'parcel.lost': ParcelDelivered;
  }
}

@Injectable()
export class ParcelListener {
  readonly delivered: ParcelDelivered[] = [];
  readonly policyFailures: WhatsappPolicyFailed[] = [];
  /** What becomes of the next deliveries; each resolves where it is left out. */
  readonly answers: (() => Promise<void>)[] = [];

  @OnDomainEvent('parcel.delivered')
  async onDelivered(event: ParcelDelivered): Promise<void> {
    this.delivered.push(event);
    await this.answers.shift()?.();
  }

  @OnDomainEvent('whatsapp.policy_failed')
  onPolicyFailed(event: WhatsappPolicyFailed): void {
    this.policyFailures.push(event);
  }
}

/** A second listener to the same event. */
@Injectable()
export class ParcelStatistics {
  readonly delivered: ParcelDelivered[] = [];
  readonly answers: (() => Promise<void>)[] = [];

  @OnDomainEvent('parcel.delivered')
  async count(event: ParcelDelivered): Promise<void> {
    this.delivered.push(event);
    await this.answers.shift()?.();
  }
}

@Injectable()
export class Parcels {
  constructor(
    private readonly publisher: DomainEventPublisher,
    @InjectDatabase() private readonly dataSource: DataSource,
  ) {}

  async deliver(parcel: string, manager: EntityManager = this.dataSource.manager): Promise<ParcelDelivered> {
    const event = { id: randomUUID(), occurredAt: new Date().toISOString(), parcel };
    await this.publisher.publish(manager, 'parcel.delivered', [event]);
    return event;
  }

  async lose(parcel: string): Promise<void> {
    const event = { id: randomUUID(), occurredAt: new Date().toISOString(), parcel };
    await this.publisher.publish(this.dataSource.manager, 'parcel.lost', [event]);
  }
}

@Module({ providers: [Parcels, ParcelListener, ParcelStatistics] })
export class ParcelsModule {}
