import { Injectable, Logger, Optional } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import {
  againAfterRefusal,
  againSoon,
  type MessageAgain,
  type TakenMessage,
} from '../follower/event-outbox.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { type Refusal, ToldReasons } from '../messages/application-tables.js';
import { MessageRecorder } from '../messages/message-recorder.js';
import { FallbackStore, type UnrecordedSms } from './fallback.store.js';

const NOT_ADDED = 'The SMS could not be added to messages';

/**
 * Adds the rows of `messages` for sent SMS. The table belongs to the application: it may refuse a row or lock it. The
 * SMS counts as sent even then, and the row is added later.
 */
@Injectable()
export class SmsMessages {
  private readonly logger = new Logger(SmsMessages.name);
  private readonly told = new ToldReasons();

  /** @param recorder writes the application's messages; missing if it has none. */
  constructor(
    private readonly store: FallbackStore,
    private readonly messageEvents: MessageEventsService,
    @Optional() private readonly recorder?: MessageRecorder,
  ) {}

  /** @returns the messages whose row could not be added now. */
  async follow(manager: EntityManager, messages: readonly TakenMessage[]): Promise<MessageAgain[]> {
    if (this.recorder === undefined) return [];
    const sms = await this.store.findUnrecordedSms(
      manager,
      messages.map(({ messageSid }) => messageSid),
    );
    if (sms.length === 0) return [];
    const { added, busy, refused } = await this.recorder.addSms(manager, sms);
    await this.link(manager, sms, added);
    const problems = [...[...refused].map(([sid, { found }]) => [sid, found] as const), ...busy];
    await this.store.noteMissingMessages(
      manager,
      problems.map(([messageSid, problem]) => ({ messageSid, note: `${NOT_ADDED}: ${problem}` })),
    );
    for (const { id, messageSid } of sms) {
      const refusal = refused.get(messageSid);
      if (refusal !== undefined) this.tellOfRefusal(id, refusal);
      const error = busy.get(messageSid);
      if (error !== undefined) this.tellOfDelay(id, error);
    }
    return messages.flatMap((message) => {
      if (busy.has(message.messageSid)) return againSoon(message);
      return refused.has(message.messageSid) ? (againAfterRefusal(message) ?? []) : [];
    });
  }

  private async link(
    manager: EntityManager,
    sms: readonly UnrecordedSms[],
    added: ReadonlyMap<string, string>,
  ): Promise<void> {
    const links = sms.flatMap(({ id, eventId, messageSid }) => {
      const messageId = added.get(messageSid);
      return messageId === undefined ? [] : [{ id, eventId, messageId }];
    });
    if (links.length === 0) return;
    await this.messageEvents.linkSms(manager, links);
    await this.store.noteMessages(manager, links, NOT_ADDED);
  }

  private tellOfDelay(smsFallbackId: string, error: string): void {
    const level = this.told.add(error) ? 'warn' : 'debug';
    this.logger[level]('The SMS was sent, and is to be added to messages later', { smsFallbackId, error });
  }

  /** Logs each reason once, for any number of SMS. */
  private tellOfRefusal(smsFallbackId: string, { found, remedy }: Refusal): void {
    const level = this.told.add(found) ? 'warn' : 'debug';
    this.logger[level]('The SMS was sent, and messages does not take its row', {
      smsFallbackId,
      found,
      remedy,
    });
  }
}
