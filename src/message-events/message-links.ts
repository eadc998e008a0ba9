import { Injectable, Logger } from '@nestjs/common';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import { OnDomainEvent } from '../domain-events/on-domain-event.decorator.js';
import { ToldReasons } from '../messages/application-tables.js';
import { GroupCommit } from './group-commit.js';
import type { MessageLinkPostponed } from './message-link-postponed.event.js';
import { recordMessageEvents } from './record-message-events.js';

/** Locks of another replica are gone after this, in milliseconds; an application's may last. */
const RETRY_DELAYS = [20, 100];
const POSTPONED_MILLISECONDS = 3_000;

/** What the table refuses, it refuses until its owner changes it: a job that fails each time would tell nothing more. */
const SHORTEST_REFUSAL_MILLISECONDS = 10_000;
const LONGEST_REFUSAL_MILLISECONDS = 6 * 60 * 60_000;

/** Some three days. */
const MOST_REFUSALS = 21;

/**
 * For how long rows are tried one by one where one of several is refused, in milliseconds. Callbacks wait for it, and a
 * refusal may take 0.2 s, where a trigger wants a lock.
 */
const ONE_BY_ONE_MILLISECONDS = 1_000;

/** Whether a row follows its events now, and if not, what the database says about it. */
type Link = { readonly linked: true } | { readonly linked: false; readonly problem: string | null };

/**
 * Lets the application's `messages` follow the event log where they could not when an event was recorded. The rows are
 * the application's, which may have them locked for as long as it likes: nothing here waits for that, and what has to
 * wait becomes a domain event for later.
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

  /** Never rejects: the event is stored, and that is what counts. */
  async link(messageSid: string): Promise<void> {
    try {
      const link = await this.tryToLink(messageSid);
      if (link.linked) return;
      // What the table refuses, it refuses for messages that it does not have, too.
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

  /** @throws where the row is locked, so that the event comes again. */
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
      // An error is no matter of milliseconds.
      if (link.linked || link.problem !== null) return link;
      await delay(retryDelay);
    }
    return this.links.add(messageSid);
  }

  /** Where one row is refused, none of its neighbours has followed either: then each is tried by itself. */
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

  /** @returns whether each of them follows; a problem of one is a problem of all. */
  private async tryTogether(messageSids: readonly string[]): Promise<Link[]> {
    const { unlinked, problem } = await recordMessageEvents(
      this.dataSource.manager,
      [],
      new Set(messageSids),
    );
    return messageSids.map((sid) => (unlinked.has(sid) ? { linked: false, problem } : { linked: true }));
  }

  /** Whether the application has it, or nobody can say. */
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

  private async postpone(
    messageSid: string,
    inMilliseconds = POSTPONED_MILLISECONDS,
    refusals = 0,
  ): Promise<void> {
    const event = { id: uuidv7(), occurredAt: new Date().toISOString(), messageSid, refusals };
    await this.publisher.publish(this.dataSource.manager, 'message_link.postponed', [event], {
      inMilliseconds,
    });
  }
}
