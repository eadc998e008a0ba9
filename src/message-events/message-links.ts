import { Injectable, Logger } from '@nestjs/common';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import { OnDomainEvent } from '../domain-events/on-domain-event.decorator.js';
import { ToldReasons } from '../messages/application-tables.js';
import { GroupCommit } from './group-commit.js';
import type { MessageLinkPostponed } from './message-link-postponed.event.js';
import { recordMessageEvents } from './record-message-events.js';

/** Locks of another replica are released within this time, in milliseconds; those of an application may last. */
const RETRY_DELAYS = [20, 100];
const POSTPONED_MILLISECONDS = 3_000;

/** The table refuses a row until its owner changes the table, so frequent retries would be useless. */
const SHORTEST_REFUSAL_MILLISECONDS = 10_000;
const LONGEST_REFUSAL_MILLISECONDS = 6 * 60 * 60_000;

/** About three days. */
const MOST_REFUSALS = 21;

/**
 * How long rows are tried one by one if one of several is refused, in milliseconds. Callbacks wait for it, and a
 * refusal may take 0.2 s if a trigger wants a lock.
 */
const ONE_BY_ONE_MILLISECONDS = 1_000;

/** Whether a row is up to date with its events, and if not, the database's error. */
type Link = { readonly linked: true } | { readonly linked: false; readonly problem: string | null };

/**
 * Updates the application's `messages` from the event log if that was not possible when an event was recorded. The rows
 * belong to the application, which may lock them for any time: nothing here waits for a lock, and postponed updates
 * become domain events.
 */
@Injectable()
export class MessageLinks {
  private readonly logger = new Logger(MessageLinks.name);
  private readonly links: GroupCommit<string, Link>;
  private readonly told = new ToldReasons();

  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {
    this.links = new GroupCommit(
      (messageSids) => this.tryOneByOne(messageSids),
      () => false,
      { maximumBatch: 250, maximumWaiting: 10_000, beforeCommit: setImmediate },
    );
  }

  /** Never rejects, because the event is already stored. */
  async link(messageSid: string): Promise<void> {
    try {
      const link = await this.tryToLink(messageSid);
      if (link.linked) return;
      // A refusal also occurs for messages that the table does not have.
      if (link.problem !== null && !(await this.hasRow(messageSid))) return;
      await this.postpone(messageSid);
    } catch (error) {
      await this.postpone(messageSid).catch(() => {
        this.logger.warn('The row of a message could not follow its events', {
          messageSid,
          error: String(error),
        });
      });
    }
  }

  /** @throws if the row is locked, so that the event is retried. */
  @OnDomainEvent('message_link.postponed')
  async onPostponed({ messageSid, refusals = 0 }: MessageLinkPostponed): Promise<void> {
    const link = await this.tryToLink(messageSid);
    if (link.linked) return;
    if (link.problem === null)
      throw new Error(`The row of the message ${messageSid} cannot follow: it is locked`);
    this.logger[this.told.add(link.problem) ? 'warn' : 'debug'](
      'The event is stored, and messages does not take its status',
      { messageSid, error: link.problem },
    );
    if (refusals >= MOST_REFUSALS) return;
    const delay = Math.min(SHORTEST_REFUSAL_MILLISECONDS * 2 ** refusals, LONGEST_REFUSAL_MILLISECONDS);
    await this.postpone(messageSid, delay, refusals + 1);
  }

  private async tryToLink(messageSid: string): Promise<Link> {
    for (const retryDelay of RETRY_DELAYS) {
      const link = await this.links.add(messageSid);
      // Waiting some milliseconds does not fix an error.
      if (link.linked || link.problem !== null) return link;
      await delay(retryDelay);
    }
    return this.links.add(messageSid);
  }

  /** Tries each row separately: if one row is refused, none of its neighbours is updated either. */
  private async tryOneByOne(messageSids: readonly string[]): Promise<Link[]> {
    const links = await this.tryTogether(messageSids);
    if (links.length === 1 || links.every((link) => link.linked || link.problem === null)) return links;
    const startedAt = performance.now();
    for (const [index, messageSid] of messageSids.entries()) {
      if (performance.now() - startedAt > ONE_BY_ONE_MILLISECONDS) break;
      links.splice(index, 1, ...(await this.tryTogether([messageSid])));
    }
    return links;
  }

  /** @returns the result for each; a problem of one is a problem of all. */
  private async tryTogether(messageSids: readonly string[]): Promise<Link[]> {
    const { unlinked, problem } = await recordMessageEvents(
      this.dataSource.manager,
      [],
      new Set(messageSids),
    );
    return messageSids.map((sid) => (unlinked.has(sid) ? { linked: false, problem } : { linked: true }));
  }

  /** Whether the application has the row, or that is unknown. */
  private async hasRow(messageSid: string): Promise<boolean> {
    try {
      const rows = await this.dataSource.query<unknown[]>('select from messages where twilio_sid = $1', [
        messageSid,
      ]);
      return rows.length > 0;
    } catch {
      return true;
    }
  }

  /** Publishes in the transaction that adds the row of a message, so that it follows even if this process ends after the commit. */
  async linkAfterCommit(manager: EntityManager, messageSid: string): Promise<void> {
    await this.publisher.publish(manager, 'message_link.postponed', [postponed(messageSid)]);
  }

  private async postpone(
    messageSid: string,
    inMilliseconds = POSTPONED_MILLISECONDS,
    refusals = 0,
  ): Promise<void> {
    const event = postponed(messageSid, refusals);
    await this.publisher.publish(this.dataSource.manager, 'message_link.postponed', [event], {
      inMilliseconds,
    });
  }
}

function postponed(messageSid: string, refusals = 0): MessageLinkPostponed {
  return { id: uuidv7(), occurredAt: new Date().toISOString(), messageSid, refusals };
}
