import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Follower, type LogConsumer, type News } from '../follower/follower.js';
import { FallbackStore } from './fallback.store.js';

/**
 * Records on fallbacks what the log says of their SMS, and that WhatsApp delivered the original after all, so that the
 * person has the text twice. An SMS that is recorded after its callbacks, or after such a delivery, is followed again.
 */
@Injectable()
export class SmsOutcomes implements LogConsumer, OnModuleInit {
  private readonly logger = new Logger(SmsOutcomes.name);

  constructor(
    private readonly follower: Follower,
    private readonly store: FallbackStore,
  ) {}

  onModuleInit(): void {
    this.follower.register(this);
  }

  async follow(manager: EntityManager, { messageSids }: News): Promise<() => void> {
    await this.store.recordOutcomes(manager, messageSids);
    const duplicates = await this.store.recordDuplicateDeliveries(manager, messageSids);
    return () => {
      for (const duplicate of duplicates) {
        this.logger.warn('WhatsApp delivered the message after its SMS fallback', duplicate);
      }
    };
  }
}
