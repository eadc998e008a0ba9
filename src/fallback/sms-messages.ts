import { Injectable, Logger } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { INSERT_SMS_MESSAGE, type Refusal, refusalOf, ToldReasons } from '../messages/application-tables.js';
import { OriginalMessages } from '../messages/original-messages.js';
import { FallbackStore } from './fallback.store.js';
import { SmsFallback } from './sms-fallback.entity.js';

/** The conversation that the SMS belongs to; null if that could not be determined. */
export type FoundConversation = { readonly id: string | null } | null;

const ADD_LATER_MILLISECONDS = 3_000;

const BATCH = 100;

const NOT_ADDED = 'The SMS could not be added to messages';

/** How long to look after the last refusal. A round reads the fallbacks of three days. */
const LOOK_FOR_MILLISECONDS = 10 * 60_000;

/** After this many refusals in one round, the next round continues. */
const MOST_REFUSALS = 3;

/**
 * Adds the rows of `messages` for sent SMS. The table belongs to the application: it may refuse a row or lock it. The
 * SMS counts as sent even then, and the row is added later.
 */
@Injectable()
export class SmsMessages {
  private readonly logger = new Logger(SmsMessages.name);
  private readonly told = new ToldReasons();
  /** Looks from the start, because earlier refusals are not known here. In milliseconds since 1970. */
  private lookUntil = Date.now() + LOOK_FOR_MILLISECONDS;

  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
    private readonly originalMessages: OriginalMessages,
    private readonly messageEvents: MessageEventsService,
    private readonly store: FallbackStore,
  ) {}

  /** Never rejects: Twilio has accepted the SMS, and nothing may prevent recording that. */
  async findConversation({ originalMessageSid }: SmsFallback): Promise<FoundConversation> {
    try {
      const original = await this.originalMessages.findByTwilioSid(originalMessageSid);
      return { id: original?.conversationId ?? null };
    } catch (error) {
      this.logger.warn('The conversation of an SMS could not be looked up', {
        originalMessageSid,
        error: String(error),
      });
      return null;
    }
  }

  /** Adds the row and its links in the transaction that records the SMS, or schedules that for later. */
  async add(
    manager: EntityManager,
    fallback: SentFallback,
    status: string,
    conversation: FoundConversation,
  ): Promise<void> {
    try {
      if (conversation === null) throw new Error('its conversation is not known');
      await manager.transaction((savepoint) => this.insert(savepoint, fallback, status, conversation.id));
    } catch (error) {
      const smsFallbackId = fallback.id;
      const refusal = refusalOf(error);
      const note = `${NOT_ADDED}: ${refusal?.found ?? String(error)}`;
      await this.store.noteMissingMessage(smsFallbackId, note, manager);
      if (refusal !== null) {
        this.tellOfRefusal(smsFallbackId, refusal);
        return;
      }
      const event = { id: uuidv7(), occurredAt: new Date().toISOString(), smsFallbackId };
      await this.publisher.publish(manager, 'sms_fallback.message_missing', [event], {
        inMilliseconds: ADD_LATER_MILLISECONDS,
      });
      this.logger.warn('The SMS was sent, and is to be added to messages later', {
        smsFallbackId,
        error: String(error),
      });
    }
  }

  /** @throws if the row is locked, so that the job is retried. Refused rows are tried in rounds. */
  async addMissing(smsFallbackId: string): Promise<void> {
    const refusal = await this.tryToAdd(smsFallbackId);
    if (refusal !== null) this.tellOfRefusal(smsFallbackId, refusal);
  }

  /**
   * Tries some rows again that the table has refused: its owner may have changed it. It picks a few at random, so that
   * a row that is always refused does not block the others.
   */
  async addRefused(): Promise<void> {
    if (Date.now() > this.lookUntil) return;
    let refusals = 0;
    for (const id of await this.store.findMissingMessages(NOT_ADDED, BATCH)) {
      this.lookUntil = Date.now() + LOOK_FOR_MILLISECONDS;
      const refusal = await this.tryToAdd(id);
      if (refusal === null) continue;
      this.tellOfRefusal(id, refusal);
      if (++refusals >= MOST_REFUSALS) return;
    }
  }

  /** @returns why the table refuses the row; null if the row is there. */
  private async tryToAdd(smsFallbackId: string): Promise<Refusal | null> {
    const fallback = await this.dataSource.manager.findOneBy(SmsFallback, { id: smsFallbackId });
    if (fallback === null || fallback.messageId !== null || !isSent(fallback)) return null;
    try {
      const original = await this.originalMessages.findByTwilioSid(fallback.originalMessageSid);
      // Its status follows from its callbacks.
      await this.dataSource.transaction(async (manager) => {
        await this.insert(manager, fallback, 'accepted', original?.conversationId ?? null);
        await this.messageEvents.followAgain([fallback.smsMessageSid], manager);
      });
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === null) throw error;
      await this.store.noteMissingMessage(smsFallbackId, `${NOT_ADDED}: ${refusal.found}`);
      return refusal;
    }
    return null;
  }

  private async insert(
    manager: EntityManager,
    { id, messageEventId, smsMessageSid, body }: SentFallback,
    status: string,
    conversationId: string | null,
  ): Promise<void> {
    const [row] = await manager.query<{ id: string }[]>(INSERT_SMS_MESSAGE, [
      conversationId,
      smsMessageSid,
      body,
      status,
    ]);
    if (row === undefined) throw new Error('messages has not returned the id of the row');
    await this.messageEvents.linkSms(manager, messageEventId, row.id);
    await this.store.noteMessage(manager, id, row.id, NOT_ADDED);
    // What a deferred constraint or trigger refuses would undo the record of the SMS at the commit.
    await manager.query('set constraints all immediate');
  }

  /** Logs each reason once, for any number of SMS. */
  private tellOfRefusal(smsFallbackId: string, { found, remedy }: Refusal): void {
    this.lookUntil = Date.now() + LOOK_FOR_MILLISECONDS;
    const level = this.told.add(found) ? 'warn' : 'debug';
    this.logger[level]('The SMS was sent, and messages does not take its row', {
      smsFallbackId,
      found,
      remedy,
    });
  }
}

/** A fallback whose SMS was sent. */
export type SentFallback = Pick<SmsFallback, 'id' | 'messageEventId'> & {
  readonly smsMessageSid: string;
  readonly body: string;
};

function isSent(fallback: SmsFallback): fallback is SmsFallback & SentFallback {
  return fallback.smsMessageSid !== null && fallback.body !== null;
}
