import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { measured } from '../measurements/measurements.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { IS_OPEN } from './sms-fallback-state.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import { SmsMessages } from './sms-messages.js';
import type { AcceptedSms } from './sms-sender.js';

interface EndedFallback {
  /** From the callback until now; null where it is gone, or where an operator had it tried again. */
  readonly seconds: number | null;
}

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
   * @returns `taken` where the SMS is another fallback's, which had the same text for the same person, and `second_sms`
   * where this one has another SMS already: its worker was suspended for longer than it had the fallback to itself.
   */
  async record(
    fallback: SmsFallback,
    sms: AcceptedSms,
    body: string,
  ): Promise<'recorded' | 'ended_before' | 'second_sms' | 'taken'> {
    try {
      const ended = await this.end(fallback, sms, body);
      if (ended !== null) {
        const { seconds: secondsFromCallback } = ended;
        measured('sms_fallback.ended', { state: 'sent', reason: null, secondsFromCallback });
      }
      // After the commit: a callback of the SMS that is being stored now links it, or is seen here.
      await this.messageEvents.linkMessage(sms.messageSid);
      if (ended !== null) return 'recorded';
      return (await this.tellOfSecond(fallback.id, sms.messageSid)) ? 'second_sms' : 'ended_before';
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }

  /** @returns false where it is no second one. */
  private async tellOfSecond(id: string, smsMessageSid: string): Promise<boolean> {
    const rows = await this.dataSource.query<unknown[]>(
      `with told as (
         update sms_fallbacks set last_error = $3, updated_at = now()
          where id = $1 and sms_message_sid <> $2
         returning id
       )
       select id from told`,
      [id, smsMessageSid, `Twilio has accepted a second SMS: ${smsMessageSid}`],
    );
    return rows.length > 0;
  }

  /** @returns null where it was sent before. */
  private async end(
    fallback: SmsFallback,
    { messageSid, status }: AcceptedSms,
    body: string,
  ): Promise<EndedFallback | null> {
    // Before the transaction: the embedded database serves one connection at a time.
    const conversation = await this.smsMessages.findConversation(fallback);
    const { id, messageEventId } = fallback;
    const sent = { id, messageEventId, smsMessageSid: messageSid, body };
    return this.dataSource.transaction(async (manager) => {
      const ended = await end(manager, id, messageSid);
      if (ended !== null) await this.smsMessages.add(manager, sent, status, conversation);
      return ended;
    });
  }
}

async function end(manager: EntityManager, id: string, smsMessageSid: string): Promise<EndedFallback | null> {
  const [ended] = await manager.query<EndedFallback[]>(
    `with ended as (
       update sms_fallbacks
          set state = 'sent', reason = null, sms_message_sid = $2, sent_at = now(), updated_at = now(),
              unanswered_attempts = 0, unanswered_since = null, locked_until = null,
              -- Where the answer was lost, its end may have been counted long before the SMS has a fallback.
              sms_delivered_at = (
                select min(created_at) from message_events
                 where message_sid = $2 and message_status in ('delivered', 'read')
              ),
              (sms_undelivered_at, sms_error_code) = (
                select created_at, error_code from message_events
                 where message_sid = $2 and message_status in ('failed', 'undelivered')
                 order by created_at limit 1
              )
        where id = $1 and (${IS_OPEN} or state = 'failed')
       returning message_event_id, retried_at
     )
     select (
         select extract(epoch from now() - created_at)::float8 from message_events
          where id = message_event_id and retried_at is null
       ) as seconds
       from ended`,
    [id, smsMessageSid],
  );
  return ended ?? null;
}

function isTaken(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { constraint } = error.driverError as { constraint?: unknown };
  return constraint === 'sms_fallbacks_sms_message_sid_key';
}
