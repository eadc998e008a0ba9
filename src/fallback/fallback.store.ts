import { Injectable, Logger } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import type { WhatsappPolicyFailed } from '../message-events/whatsapp-policy-failed.event.js';
import { smsFallbackAttemptDue } from './sms-fallback-attempt-due.event.js';
import { SmsFallback, type SmsFallbackState } from './sms-fallback.entity.js';
import type { ComposedSms } from './sms-composer.js';
import type { AcceptedSms } from './sms-sender.js';

/** How long a worker has a fallback to itself. Longer than everything it does with it can take. */
const LOCK_SECONDS = 30;

/** What must be left of the lock when an SMS is handed to Twilio: longer than Twilio's client waits for the answer. */
const LOCK_SECONDS_TO_SEND = 15;

/** A fallback that a worker has locked, with the proof that it still is its own. */
export interface LockedFallback extends SmsFallback {
  readonly lock: string;
  /** The database's time, whose clock all times of a fallback are of. This host's may differ. */
  readonly now: () => Date;
}

export interface FallbackProblem {
  readonly code: string | null;
  readonly message: string;
}

/** The worker was so slow that another one may have taken over. Nothing was changed. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError';
}

/** The SQL of `sms_fallbacks`: each method is one committed step of the state machine. */
@Injectable()
export class FallbackStore {
  private readonly logger = new Logger(FallbackStore.name);

  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
    private readonly messageEvents: MessageEventsService,
  ) {}

  /** Claims the original message. @returns the id of its one fallback, whoever claimed it first. */
  async claim(event: WhatsappPolicyFailed): Promise<string> {
    const { messageSid, messageEventId, accountSid, toNumber, callbackUrl } = event;
    await this.dataSource.query(
      `insert into sms_fallbacks (id, original_message_sid, message_event_id, account_sid, to_number, status_callback_url)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (original_message_sid) do nothing`,
      [uuidv7(), messageSid, messageEventId, accountSid, toNumber, callbackUrl],
    );
    const { id } = await this.dataSource.manager.findOneOrFail(SmsFallback, {
      select: { id: true },
      where: { originalMessageSid: messageSid },
    });
    return id;
  }

  /** @returns null where the fallback is at an end, is not due, or is another worker's at this time. */
  async lock(id: string): Promise<LockedFallback | null> {
    const [locked] = await this.dataSource.query<{ lock: string; now: Date }[]>(
      `with locked as (
         update sms_fallbacks set locked_until = now() + $2 * interval '1 second', updated_at = now()
          where id = $1 and state in ('claimed', 'sending', 'uncertain')
            and next_attempt_at <= now() and (locked_until is null or locked_until <= now())
         returning locked_until::text as lock
       )
       select lock, now() as now from locked`,
      [id, LOCK_SECONDS],
    );
    if (locked === undefined) return null;
    const fallback = await this.dataSource.manager.findOneByOrFail(SmsFallback, { id });
    const difference = locked.now.getTime() - Date.now();
    return Object.assign(fallback, { lock: locked.lock, now: () => new Date(Date.now() + difference) });
  }

  /** Plans another look at a fallback that is open but could not be locked, so that it is never forgotten. */
  async lookAgain(id: string): Promise<void> {
    const [open] = await this.dataSource.query<{ at: Date }[]>(
      `select greatest(locked_until, next_attempt_at) as at from sms_fallbacks
        where id = $1 and state in ('claimed', 'sending', 'uncertain')`,
      [id],
    );
    if (open !== undefined) await this.publishAttemptDue(this.dataSource.manager, id, open.at);
  }

  /**
   * Commits the intent to send, before the SMS is handed to Twilio.
   * @throws LockLostError
   */
  async beginSending(fallback: LockedFallback, sms: ComposedSms): Promise<void> {
    const rows = await this.dataSource.query<unknown[]>(
      `with begun as (
         update sms_fallbacks
            set state = 'sending', reason = null, attempts = attempts + 1,
                unanswered_attempts = unanswered_attempts + 1, attempt_started_at = now(), updated_at = now(),
                to_number = $3, from_number = $4, messaging_service_sid = $5, body = $6, truncated = $7
          where id = $1 and locked_until = $2::timestamptz and locked_until > now() + $8 * interval '1 second'
         returning id
       )
       select id from begun`,
      [
        fallback.id,
        fallback.lock,
        sms.toNumber,
        sms.fromNumber,
        sms.messagingServiceSid,
        sms.body,
        sms.truncated,
        LOCK_SECONDS_TO_SEND,
      ],
    );
    assertLocked(rows, fallback);
  }

  /**
   * Records the accepted SMS: its row in `messages`, the link of the triggering event, and the end of the fallback.
   * It does not ask for the lock: an SMS that Twilio has accepted is a fact, even where the worker was slow.
   * @returns `taken` where the SMS is another fallback's, which had the same text for the same person.
   */
  async markSent(
    fallback: SmsFallback,
    sms: AcceptedSms,
    body: string,
    conversationId: string | null,
  ): Promise<'recorded' | 'ended_before' | 'taken'> {
    try {
      const recorded = await this.recordSent(fallback, sms, body, conversationId);
      // After the commit: a callback of the SMS that is being stored now links it, or is seen here.
      await this.messageEvents.linkMessage(sms.messageSid);
      return recorded ? 'recorded' : 'ended_before';
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }

  /** @throws LockLostError */
  async end(
    fallback: LockedFallback,
    state: 'skipped' | 'failed',
    reason: string,
    problem: FallbackProblem | null,
  ): Promise<void> {
    await this.change(this.dataSource.manager, fallback, state, reason, problem, new Date());
  }

  /**
   * Gives the lock back and plans the next look, in one transaction.
   * @throws LockLostError
   */
  async postpone(
    fallback: LockedFallback,
    state: 'claimed' | 'uncertain',
    reason: string,
    problem: FallbackProblem | null,
    until: Date,
  ): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await this.change(manager, fallback, state, reason, problem, until);
      await this.publishAttemptDue(manager, fallback.id, until);
    });
  }

  /** The SID of the SMS as told by a callback of it, which names its fallback, unless another one has taken it. */
  async findReportedSid(id: string): Promise<string | null> {
    const [row] = await this.dataSource.query<{ sid: string }[]>(
      `select message_sid as sid from message_events
        where sms_fallback_id = $1
          and not exists (select from sms_fallbacks where sms_message_sid = message_sid and id <> $1)
        order by created_at limit 1`,
      [id],
    );
    return row?.sid ?? null;
  }

  /**
   * Those of the SIDs that are another fallback's, or a message that the application had sent before. A row of
   * `messages` that is younger tells nothing: the application may copy every message of its account there.
   */
  async findSidsOfOthers(id: string, since: Date, sids: readonly string[]): Promise<Set<string>> {
    const rows = await this.dataSource.query<{ sid: string }[]>(
      `select sms_message_sid as sid from sms_fallbacks where sms_message_sid = any ($3) and id <> $1
       union select message_sid from message_events where message_sid = any ($3) and sms_fallback_id <> $1
       union select twilio_sid from messages where twilio_sid = any ($3) and created_at < $2`,
      [id, since, sids],
    );
    return new Set(rows.map(({ sid }) => sid));
  }

  private async recordSent(
    fallback: SmsFallback,
    sms: AcceptedSms,
    body: string,
    conversationId: string | null,
  ): Promise<boolean> {
    return this.dataSource.transaction(async (manager) => {
      const ended = await manager.query<unknown[]>(
        `with ended as (
           update sms_fallbacks
              set state = 'sent', reason = null, sms_message_sid = $2, sent_at = now(), updated_at = now(), locked_until = null
            where id = $1 and state in ('claimed', 'sending', 'uncertain', 'failed')
           returning id
         )
         select id from ended`,
        [fallback.id, sms.messageSid],
      );
      if (ended.length === 0) return false;
      await this.addMessage(manager, fallback, sms, body, conversationId);
      return true;
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

  private async change(
    manager: EntityManager,
    fallback: LockedFallback,
    state: SmsFallbackState,
    reason: string,
    problem: FallbackProblem | null,
    nextAttemptAt: Date,
  ): Promise<void> {
    const rows = await manager.query<unknown[]>(
      `with changed as (
         update sms_fallbacks
            set state = $3, reason = $4,
                unanswered_attempts = case $3 when 'claimed' then 0 else unanswered_attempts end,
                last_error_code = coalesce($5, last_error_code),
                last_error = coalesce($6, last_error), next_attempt_at = $7, locked_until = null, updated_at = now()
          where id = $1 and locked_until = $2::timestamptz
         returning id
       )
       select id from changed`,
      [
        fallback.id,
        fallback.lock,
        state,
        reason,
        problem?.code ?? null,
        problem?.message ?? null,
        nextAttemptAt,
      ],
    );
    assertLocked(rows, fallback);
  }

  private async publishAttemptDue(manager: EntityManager, smsFallbackId: string, at: Date): Promise<void> {
    const event = smsFallbackAttemptDue(smsFallbackId, at);
    await this.publisher.publish(manager, 'sms_fallback.attempt_due', [event], at);
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

function assertLocked(changed: readonly unknown[], fallback: LockedFallback): void {
  if (changed.length === 0) throw new LockLostError(`The lock of the fallback ${fallback.id} has run out`);
}

function isTaken(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { constraint } = error.driverError as { constraint?: unknown };
  return constraint === 'sms_fallbacks_sms_message_sid_key';
}
