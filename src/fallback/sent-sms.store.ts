import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import { measured } from '../measurements/measurements.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { NEVER_SENT_CODES } from '../message-events/never-sent.js';
import { DELIVERED_STATUSES } from '../messages/message-status.js';
import { smsFallbackAttemptDue } from './fallback.events.js';
import { isOfEarlierAttempt, withAttempt } from './fallback.store.js';
import { IS_OPEN } from './sms-fallback-state.js';
import { SmsFallback } from './sms-fallback.entity.js';
import { SmsMessages } from './sms-messages.js';
import type { AcceptedSms } from './sms-sender.js';

interface EndedFallback {
  /** Why the SMS failed, if the log has that already. */
  readonly smsErrorCode: string | null;
  readonly isDelivered: boolean;
  /** From the callback until now; null if the callback is gone, or if an operator requested a retry. */
  readonly seconds: number | null;
}

/** An SMS that was never sent, and the fallback that owns it. */
export interface NeverSentSms {
  readonly fallback: SmsFallback;
  readonly code: string;
  readonly now: Date;
}

/** The last step of the state machine: records an SMS that Twilio has accepted, or learns that it was never sent. */
@Injectable()
export class SentSmsStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly smsMessages: SmsMessages,
    private readonly messageEvents: MessageEventsService,
    private readonly publisher: DomainEventPublisher,
  ) {}

  /**
   * Records the accepted SMS in one transaction: the end of the fallback, the row in `messages`, and the link of the
   * triggering event. It does not require the lock: an SMS that Twilio has accepted is a fact, even if the worker was
   * slow.
   * @returns `never_sent` if the log already says that it was never sent, `taken` if the SMS belongs to another
   * fallback with the same text for the same person, and `second_sms` if this one already has another SMS: its worker
   * was suspended for longer than the lock lasts. An SMS that is known to have failed changes nothing.
   */
  async record(
    fallback: SmsFallback,
    sms: AcceptedSms,
    body: string,
  ): Promise<'recorded' | 'never_sent' | 'ended_before' | 'second_sms' | 'taken'> {
    try {
      const ended = await this.end(fallback, sms, body);
      if (ended !== null) {
        const { seconds: secondsFromCallback } = ended;
        measured('sms_fallback.ended', { state: 'sent', reason: null, secondsFromCallback });
      }
      if (ended !== null) {
        const isNeverSent = !ended.isDelivered && NEVER_SENT_CODES.includes(ended.smsErrorCode ?? '');
        return isNeverSent ? 'never_sent' : 'recorded';
      }
      return (await this.tellOfSecond(fallback.id, sms.messageSid)) ? 'second_sms' : 'ended_before';
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }

  /**
   * Opens a sent fallback again, or ends it, because its SMS was never sent: at most one SMS is not known to have
   * failed.
   * @param decide whether there is another attempt, and when.
   * @returns undefined if the SMS no longer belongs to the fallback, was delivered, or did not fail that way.
   */
  async reopenNeverSent(
    id: string,
    smsMessageSid: string,
    decide: (sms: NeverSentSms) => { readonly inMilliseconds: number } | null,
  ): Promise<{ readonly sms: NeverSentSms; readonly isReopened: boolean } | undefined> {
    return this.dataSource.transaction(async (manager) => {
      await lock(manager, id);
      const [row] = await manager.query<{ code: string; now: Date }[]>(FIND_NEVER_SENT, [
        id,
        smsMessageSid,
        NEVER_SENT_CODES,
        DELIVERED_STATUSES,
      ]);
      if (row === undefined) return undefined;
      const sms = { fallback: await manager.findOneByOrFail(SmsFallback, { id }), ...row };
      const again = decide(sms);
      const at = new Date(row.now.getTime() + (again?.inMilliseconds ?? 0));
      const [state, reason] = again === null ? ['failed', 'never_sent'] : ['claimed', 'sms_never_sent'];
      await manager.query(REOPEN_NEVER_SENT, [id, state, reason, row.code, at]);
      if (again !== null) {
        await this.publisher.publish(manager, 'sms_fallback.attempt_due', [smsFallbackAttemptDue(id, at)], {
          at,
        });
      }
      return { sms, isReopened: again !== null };
    });
  }

  /** @returns false if it is not a second one. */
  private async tellOfSecond(id: string, smsMessageSid: string): Promise<boolean> {
    const rows = await this.dataSource.query<unknown[]>(
      `with told as (
         update sms_fallbacks set last_error = $3, updated_at = now()
          where id = $1 and sms_message_sid <> $2 and not ${isOfEarlierAttempt('$2::text')}
         returning id
       )
       select id from told`,
      [id, smsMessageSid, `Twilio has accepted a second SMS: ${smsMessageSid}`],
    );
    return rows.length > 0;
  }

  /** @returns null if it was sent before. */
  private async end(
    fallback: SmsFallback,
    { messageSid, status }: AcceptedSms,
    body: string,
  ): Promise<EndedFallback | null> {
    // Before the transaction: the embedded database serves one connection at a time.
    const conversation = await this.smsMessages.findConversation(fallback);
    const { id, messageEventId, originalMessageSid } = fallback;
    const sent = { id, messageEventId, smsMessageSid: messageSid, body };
    return this.dataSource.transaction(async (manager) => {
      await lock(manager, id);
      const ended = await end(manager, id, messageSid);
      if (ended === null) return null;
      await this.smsMessages.add(manager, sent, status, conversation);
      // Callbacks of the SMS, and a delivery of the original, may have been followed before this commit.
      await this.messageEvents.followAgain([messageSid, originalMessageSid], manager);
      return ended;
    });
  }
}

/**
 * A separate statement, so that the next one sees what is committed by then: either the report that an SMS was never
 * sent, or the SMS of that report. Otherwise each could miss the other.
 */
async function lock(manager: EntityManager, id: string): Promise<void> {
  await manager.query('select from sms_fallbacks where id = $1 for update', [id]);
}

async function end(manager: EntityManager, id: string, smsMessageSid: string): Promise<EndedFallback | null> {
  const [ended] = await manager.query<EndedFallback[]>(
    `with ended as (
       update sms_fallbacks
          set state = 'sent', reason = null, sms_message_sid = $2, sent_at = now(), updated_at = now(),
              unanswered_attempts = 0, unanswered_since = null, locked_until = null,
              earlier_attempts = (
                select coalesce(jsonb_agg(attempt), '[]') from jsonb_array_elements(earlier_attempts) as attempt
                 where attempt->>'smsMessageSid' is distinct from $2
              ),
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
          -- An SMS that is known to have failed counts only where it was delivered after all.
          and (not ${isOfEarlierAttempt('$2::text')} or exists (
            select from message_events where message_sid = $2 and message_status in ('delivered', 'read')
          ))
       returning message_event_id, retried_at, sms_error_code, sms_delivered_at
     )
     select (
         select extract(epoch from now() - created_at)::float8 from message_events
          where id = message_event_id and retried_at is null
       ) as seconds,
            sms_error_code as "smsErrorCode", sms_delivered_at is not null as "isDelivered"
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

/** The SMS may have been delivered after all: a message of several segments can report both. */
const FIND_NEVER_SENT = `
select report.error_code as code, now() as now
  from sms_fallbacks
 cross join lateral (
   select error_code from message_events
    where message_sid = $2 and message_status in ('failed', 'undelivered') and error_code = any ($3::text[]) limit 1
 ) as report
 where id = $1 and state = 'sent' and sms_message_sid = $2
   and not exists (select from message_events where message_sid = $2 and message_status = any ($4::text[]))`;

const REOPEN_NEVER_SENT = `
update sms_fallbacks
   set state = $2, reason = $3, last_error_code = $4, last_error = 'Twilio accepted the SMS and never sent it',
       earlier_attempts = ${withAttempt("'never_sent'", '$4::text')},
       sms_message_sid = null, message_id = null, sent_at = null,
       sms_delivered_at = null, sms_undelivered_at = null, sms_error_code = null,
       unanswered_attempts = 0, unanswered_since = null, locked_until = null, next_attempt_at = $5, due_since = $5,
       updated_at = now()
 where id = $1`;
