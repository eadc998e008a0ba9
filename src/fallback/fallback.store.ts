import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-event-publisher.js';
import type { WhatsappPolicyFailed } from '../message-events/whatsapp-policy-failed.event.js';
import type { EndReason, WaitReason } from './fallback-reasons.js';
import { smsFallbackAttemptDue } from './sms-fallback-attempt-due.event.js';
import { IS_OPEN } from './sms-fallback-state.js';
import { SmsFallback } from './sms-fallback.entity.js';
import type { ComposedSms } from './sms-composer.js';

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

interface Step {
  /** How many attempts may have been accepted, for want of an answer. */
  readonly unansweredAttempts: number;
  readonly problem: FallbackProblem | null;
}

export interface EndStep extends Step {
  readonly state: 'skipped' | 'failed';
  readonly reason: EndReason;
}

export interface WaitStep extends Step {
  readonly state: 'claimed' | 'uncertain';
  readonly reason: WaitReason;
}

/** The worker was so slow that another one may have taken over. Nothing was changed. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError';
}

/** The steps of the state machine up to the end, each of them committed. SentSmsStore has the last one. */
@Injectable()
export class FallbackStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {}

  /** Claims the original message. @returns the id of its one fallback, whoever claimed it first. */
  async claim(event: WhatsappPolicyFailed): Promise<string> {
    const { messageSid, messageEventId, accountSid, toNumber, callbackUrl } = event;
    await this.dataSource.query(
      `insert into sms_fallbacks (id, original_message_sid, message_event_id, account_sid, to_number, status_callback_url)
       values ($1, $2, $3, $4, $5, coalesce($6, (${LAST_CALLBACK_URL})))
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
          where id = $1 and ${IS_OPEN}
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

  /**
   * Plans another look at an open fallback that a worker has, which may have died. One that is not due yet has a job: it
   * was published with the time. With another one for each look their number would never fall.
   */
  async planNextLook(id: string): Promise<void> {
    const [locked] = await this.dataSource.query<{ at: Date }[]>(
      `select greatest(locked_until, next_attempt_at) as at from sms_fallbacks
        where id = $1 and ${IS_OPEN} and locked_until is not null`,
      [id],
    );
    if (locked !== undefined) await this.publishAttemptDue(this.dataSource.manager, id, locked.at);
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
                unanswered_attempts = unanswered_attempts + 1, unanswered_since = coalesce(unanswered_since, now()),
                attempt_started_at = now(), updated_at = now(),
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

  /** @throws LockLostError */
  async end(fallback: LockedFallback, step: EndStep): Promise<void> {
    await this.change(this.dataSource.manager, fallback, step, new Date());
  }

  /**
   * Gives the lock back and plans the next look, in one transaction.
   * @throws LockLostError
   */
  async postpone(fallback: LockedFallback, step: WaitStep, until: Date): Promise<void> {
    await this.dataSource.transaction(async (manager) => {
      await this.change(manager, fallback, step, until);
      await this.publishAttemptDue(manager, fallback.id, until);
    });
  }

  private async change(
    manager: EntityManager,
    fallback: LockedFallback,
    { state, reason, unansweredAttempts, problem }: EndStep | WaitStep,
    nextAttemptAt: Date,
  ): Promise<void> {
    const rows = await manager.query<unknown[]>(
      `with changed as (
         update sms_fallbacks
            set state = $3, reason = $4, unanswered_attempts = $5::integer,
                unanswered_since = case when $5::integer > 0 then unanswered_since end,
                last_error_code = coalesce($6, last_error_code), last_error = coalesce($7, last_error),
                next_attempt_at = $8, locked_until = null, updated_at = now()
          where id = $1 and locked_until = $2::timestamptz
         returning id
       )
       select id from changed`,
      [
        fallback.id,
        fallback.lock,
        state,
        reason,
        unansweredAttempts,
        problem?.code ?? null,
        problem?.message ?? null,
        nextAttemptAt,
      ],
    );
    assertLocked(rows, fallback);
  }

  private async publishAttemptDue(manager: EntityManager, smsFallbackId: string, at: Date): Promise<void> {
    const event = smsFallbackAttemptDue(smsFallbackId, at);
    await this.publisher.publish(manager, 'sms_fallback.attempt_due', [event], { at });
  }
}

/**
 * A policy failure that Twilio was asked for came to no URL; callbacks before it did. Whoever is claimed after one of those
 * has its URL, so that it stands in one of the last few rows, or in none.
 */
const LAST_CALLBACK_URL = `
  select status_callback_url
    from (select status_callback_url, created_at, id from sms_fallbacks order by created_at desc, id desc limit 100) as latest
   where status_callback_url is not null
   order by created_at desc, id desc limit 1`;

function assertLocked(changed: readonly unknown[], fallback: LockedFallback): void {
  if (changed.length === 0) throw new LockLostError(`The lock of the fallback ${fallback.id} has run out`);
}
