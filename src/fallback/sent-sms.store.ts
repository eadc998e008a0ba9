import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { MessageEventsService } from '../message-events/message-events.service.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import { SmsMessages } from './sms-messages.js';
import type { AcceptedSms } from './sms-sender.js';

/** The last step of the state machine: an SMS that Twilio has accepted is recorded. */
@Injectable()
export class SentSmsStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly smsMessages: SmsMessages,
    private readonly messageEvents: MessageEventsService,
  ) {}

  /**
   * Records the accepted SMS in one transaction: the end of the fallback, the row in `messages`, and the link of the
   * triggering event. It does not ask for the lock: an SMS that Twilio has accepted is a fact, even where the worker
   * was slow.
   * @returns `taken` where the SMS is another fallback's, which had the same text for the same person.
   */
  async record(
    fallback: SmsFallback,
    { messageSid, status }: AcceptedSms,
    body: string,
  ): Promise<'recorded' | 'ended_before' | 'taken'> {
    // Before the transaction: the embedded database serves one connection at a time.
    const conversation = await this.smsMessages.findConversation(fallback);
    try {
      const recorded = await this.dataSource.transaction(async (manager) => {
        if (!(await end(manager, fallback.id, messageSid))) return false;
        const { id, messageEventId } = fallback;
        await this.smsMessages.add(
          manager,
          { id, messageEventId, smsMessageSid: messageSid, body },
          status,
          conversation,
        );
        return true;
      });
      // After the commit: a callback of the SMS that is being stored now links it, or is seen here.
      await this.messageEvents.linkMessage(messageSid);
      return recorded ? 'recorded' : 'ended_before';
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }
}

/** @returns false where it was sent before. */
async function end(manager: EntityManager, id: string, smsMessageSid: string): Promise<boolean> {
  const ended = await manager.query<unknown[]>(
    `with ended as (
       update sms_fallbacks
          set state = 'sent', reason = null, sms_message_sid = $2, sent_at = now(), updated_at = now(),
              unanswered_attempts = 0, unanswered_since = null, locked_until = null
        where id = $1 and state in ('claimed', 'sending', 'uncertain', 'failed')
       returning id
     )
     select id from ended`,
    [id, smsMessageSid],
  );
  return ended.length > 0;
}

function isTaken(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { constraint } = error.driverError as { constraint?: unknown };
  return constraint === 'sms_fallbacks_sms_message_sid_key';
}
