import { Injectable, Logger } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { OriginalMessages } from '../messages/original-messages.js';
import { SmsFallback } from './sms-fallback.entity.js';

/** The conversation that the SMS belongs to; null where that could not be found out. */
export type FoundConversation = { readonly id: string | null } | null;

const ADD_LATER_MILLISECONDS = 3_000;

const NOT_ADDED = 'The SMS could not be added to messages';

/**
 * The rows of `messages` of the SMS that were sent. The table is the application's: it may refuse a row, or have it
 * locked. Then the SMS was sent all the same, that is recorded, and the row is added later.
 */
@Injectable()
export class SmsMessages {
  private readonly logger = new Logger(SmsMessages.name);

  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
    private readonly originalMessages: OriginalMessages,
    private readonly messageEvents: MessageEventsService,
  ) {}

  /** Never rejects: Twilio has accepted the SMS, and nothing may keep that from being recorded. */
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

  /** Adds the row and its links in the transaction that records the SMS, or plans to do so later. */
  async add(
    manager: EntityManager,
    fallback: SentFallback,
    status: string,
    conversation: FoundConversation,
  ): Promise<void> {
    try {
      if (conversation === null) throw new Error('its conversation is not known');
      await manager.transaction((savepoint) => insert(savepoint, fallback, status, conversation.id));
    } catch (error) {
      const smsFallbackId = fallback.id;
      const problem = `${NOT_ADDED}: ${String(error)}`;
      await manager.query('update sms_fallbacks set last_error = $2 where id = $1', [smsFallbackId, problem]);
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

  /** @throws where the application still refuses the row. */
  async addMissing(smsFallbackId: string): Promise<void> {
    const fallback = await this.dataSource.manager.findOneBy(SmsFallback, { id: smsFallbackId });
    if (fallback === null || fallback.messageId !== null || !isSent(fallback)) return;
    const original = await this.originalMessages.findByTwilioSid(fallback.originalMessageSid);
    // Its status follows from its callbacks.
    await insert(this.dataSource.manager, fallback, 'accepted', original?.conversationId ?? null);
    await this.messageEvents.linkMessage(fallback.smsMessageSid);
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

async function insert(
  manager: EntityManager,
  { id, messageEventId, smsMessageSid, body }: SentFallback,
  status: string,
  conversationId: string | null,
): Promise<void> {
  await manager.query(ADD_MESSAGE, [
    conversationId,
    smsMessageSid,
    body,
    status,
    messageEventId,
    id,
    NOT_ADDED,
  ]);
}

const ADD_MESSAGE = `
with sms as (
  insert into messages (conversation_id, twilio_sid, direction, channel, body, status)
  values ($1, $2, 'outbound', 'sms', $3, $4)
  on conflict (twilio_sid) do update set twilio_sid = excluded.twilio_sid
  returning id
),
event as (
  update message_events set fallback_sms_message_id = sms.id from sms where message_events.id = $5
)
update sms_fallbacks
   set message_id = sms.id, last_error = case when not starts_with(last_error, $7) then last_error end
  from sms where sms_fallbacks.id = $6`;
