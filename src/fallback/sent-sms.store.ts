import { Injectable, Logger } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { measured } from '../measurements/measurements.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import type { SmsFallback } from './sms-fallback.entity.js';
import type { AcceptedSms } from './sms-sender.js';

interface EndedFallback {
  /** From the callback until now; null where it is gone, or where an operator had it tried again. */
  readonly seconds: number | null;
}

/** The last step of the state machine: an SMS that Twilio has accepted is recorded. */
@Injectable()
export class SentSmsStore {
  private readonly logger = new Logger(SentSmsStore.name);

  constructor(
    private readonly dataSource: DataSource,
    private readonly messageEvents: MessageEventsService,
  ) {}

  /**
   * Records the accepted SMS: its row in `messages`, the link of the triggering event, and the end of the fallback.
   * It does not ask for the lock: an SMS that Twilio has accepted is a fact, even where the worker was slow.
   * @returns `taken` where the SMS is another fallback's, which had the same text for the same person.
   */
  async record(
    fallback: SmsFallback,
    sms: AcceptedSms,
    body: string,
    conversationId: string | null,
  ): Promise<'recorded' | 'ended_before' | 'taken'> {
    try {
      const ended = await this.end(fallback, sms, body, conversationId);
      if (ended !== null) {
        const { seconds: secondsFromCallback } = ended;
        measured('sms_fallback.ended', { state: 'sent', reason: null, secondsFromCallback });
      }
      // After the commit: a callback of the SMS that is being stored now links it, or is seen here.
      await this.messageEvents.linkMessage(sms.messageSid);
      return ended !== null ? 'recorded' : 'ended_before';
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }

  private async end(
    fallback: SmsFallback,
    sms: AcceptedSms,
    body: string,
    conversationId: string | null,
  ): Promise<EndedFallback | null> {
    return this.dataSource.transaction(async (manager) => {
      const [ended] = await manager.query<EndedFallback[]>(
        `with ended as (
           update sms_fallbacks
              set state = 'sent', reason = null, sms_message_sid = $2, sent_at = now(), updated_at = now(), locked_until = null
            where id = $1 and state in ('claimed', 'sending', 'uncertain', 'failed')
           returning message_event_id, retried_at
         )
         select (
             select extract(epoch from now() - created_at)::float8 from message_events
              where id = message_event_id and retried_at is null
           ) as seconds
           from ended`,
        [fallback.id, sms.messageSid],
      );
      if (ended === undefined) return null;
      await this.addMessage(manager, fallback, sms, body, conversationId);
      return ended;
    });
  }

  /** The table is the application's: if it refuses the row, the SMS was sent all the same, and that is recorded. */
  private async addMessage(
    manager: EntityManager,
    fallback: SmsFallback,
    sms: AcceptedSms,
    body: string,
    conversationId: string | null,
  ): Promise<void> {
    try {
      await manager.transaction(async (savepoint) => {
        await savepoint.query(ADD_MESSAGE, [
          conversationId,
          sms.messageSid,
          body,
          sms.status,
          fallback.messageEventId,
          fallback.id,
        ]);
      });
    } catch (error) {
      const message = `The SMS could not be added to messages: ${String(error)}`;
      await manager.query('update sms_fallbacks set last_error = $2 where id = $1', [fallback.id, message]);
      this.logger.error('The SMS was sent but could not be added to messages', {
        smsFallbackId: fallback.id,
        error: String(error),
      });
    }
  }
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
update sms_fallbacks set message_id = sms.id from sms where sms_fallbacks.id = $6`;

function isTaken(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { constraint } = error.driverError as { constraint?: unknown };
  return constraint === 'sms_fallbacks_sms_message_sid_key';
}
