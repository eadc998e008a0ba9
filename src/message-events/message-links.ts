import { Injectable, Logger } from '@nestjs/common';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import { OnDomainEvent } from '../domain-events/on-domain-event.decorator.js';
import { GroupCommit } from './group-commit.js';
import type { MessageLinkPostponed } from './message-link-postponed.event.js';
import { MessageLinksStore } from './message-links.store.js';

/** Locks of another replica are gone after this, in milliseconds; an application's may last. */
const RETRY_DELAYS = [20, 100];
const POSTPONED_MILLISECONDS = 3_000;

/**
 * Lets the application's `messages` follow the event log. The rows are the application's, which may have them locked
 * for as long as it likes: nothing here waits for that, and what has to wait becomes a domain event for later.
 */
@Injectable()
export class MessageLinks {
  private readonly logger = new Logger(MessageLinks.name);
  private readonly links: GroupCommit<string, 'linked' | 'locked'>;

  constructor(
    private readonly store: MessageLinksStore,
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {
    this.links = new GroupCommit(
      async (messageSids) => {
        const locked = await this.store.link(messageSids);
        return messageSids.map((messageSid) => (locked.has(messageSid) ? 'locked' : 'linked'));
      },
      () => false,
      { maximumBatch: 250, maximumWaiting: 10_000, beforeCommit: setImmediate },
    );
  }

  /** Never rejects: the event is stored, and that is what counts. */
  async link(messageSid: string): Promise<void> {
    try {
      if (!(await this.tryToLink(messageSid))) await this.postpone(messageSid);
    } catch (error) {
      await this.postpone(messageSid).catch(() => {
        this.logger.warn('The row of a message could not follow its events', {
          messageSid,
          error: String(error),
        });
      });
    }
  }

  @OnDomainEvent('message_link.postponed')
  async onPostponed({ messageSid }: MessageLinkPostponed): Promise<void> {
    if (!(await this.tryToLink(messageSid)))
      throw new Error(`The row of the message ${messageSid} is locked`);
  }

  private async tryToLink(messageSid: string): Promise<boolean> {
    for (const retryDelay of RETRY_DELAYS) {
      if ((await this.links.add(messageSid)) === 'linked') return true;
      await delay(retryDelay);
    }
    return (await this.links.add(messageSid)) === 'linked';
  }

  private async postpone(messageSid: string): Promise<void> {
    const event = { id: uuidv7(), occurredAt: new Date().toISOString(), messageSid };
    await this.publisher.publish(this.dataSource.manager, 'message_link.postponed', [event], {
      inMilliseconds: POSTPONED_MILLISECONDS,
    });
  }
}
