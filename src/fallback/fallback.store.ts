import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import { DELIVERED_STATUSES } from '../messages/message-status.js';
import type { EndReason, WaitReason } from './fallback-reasons.js';
import { smsFallbackAttemptDue } from './fallback.events.js';
import type { ComposedSms } from './sms-composer.js';
import { IS_OPEN } from './sms-fallback-state.js';
import { type EarlierAttempt, SmsFallback } from './sms-fallback.entity.js';

/** How long a worker holds the lock of a fallback. Longer than any work on it can take. */
const LOCK_SECONDS = 30;

/**
 * The remaining lock time that is required to hand an SMS to Twilio: longer than Twilio's client waits for the answer.
 */
const LOCK_SECONDS_TO_SEND = 15;

/** A fallback that a worker has locked, with the proof that it still holds the lock. */
export interface LockedFallback extends SmsFallback {
  readonly lock: string;
  /** The time of the database, whose clock sets all times of a fallback. The clock of this host may differ. */
  readonly now: () => Date;
}

export interface FallbackProblem {
  readonly code: string | null;
  readonly message: string;
}

interface Step {
  /** How many attempts may have been accepted, because they were not answered. */
  readonly unansweredAttempts: number;
  readonly problem: FallbackProblem | null;
  /** Set if the attempt is known to have failed, so that it is kept beside the next one. */
  readonly failedAttempt?: EarlierAttempt['outcome'];
  /** When the original was sent, if that is known now. */
  readonly originalSentAt?: Date | null;
}

export interface EndStep extends Step {
  readonly state: 'skipped' | 'failed';
  readonly reason: EndReason;
  readonly duplicateOf?: string;
}

export interface WaitStep extends Step {
  readonly state: 'claimed' | 'uncertain';
  readonly reason: WaitReason;
}

/** Why an SMS is held back at the last moment. */
export type Obstacle =
  | { readonly kind: 'delivered_by_whatsapp' }
  /** An SMS of this fallback that counted as failed was delivered. */
  | { readonly kind: 'delivered_by_sms'; readonly smsMessageSid: string }
  /** Another fallback's SMS with the same text for the same person. */
  | { readonly kind: 'duplicate'; readonly of: string };

/** The worker was so slow that another one may have taken over. Nothing was changed. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError';
}

/** The steps of the state machine except the last one, each committed. SentSmsStore has the last one. */
@Injectable()
export class FallbackStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
  ) {}

  /**
   * Claims the original message.
   * @param holdMilliseconds how long its first attempt waits; it is planned in the same transaction.
   * @returns the id of its only fallback, which may have been claimed before.
   */
  async claim(event: WhatsappPolicyFailed, holdMilliseconds: number): Promise<string> {
    if (holdMilliseconds === 0) await insertClaim(this.dataSource.manager, event, 0);
    else {
      await this.dataSource.transaction(async (manager) => {
        const claimed = await insertClaim(manager, event, holdMilliseconds);
        if (claimed !== undefined) await this.publishAttemptDue(manager, claimed.id, claimed.nextAttemptAt);
      });
    }
    const { id } = await this.dataSource.manager.findOneOrFail(SmsFallback, {
      select: { id: true },
      where: { originalMessageSid: event.messageSid },
    });
    return id;
  }

  /** @returns null if the fallback has ended, is not due, or is locked by another worker. */
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
   * Plans another look at an open fallback that a worker has locked, because the worker may have died. A fallback that
   * is not due yet has a job already: it was published with that time. Another job for each look would let the number
   * of jobs grow forever.
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
   * Commits the intent to send, before the SMS is handed to Twilio, unless the log holds a reason not to send it.
   * @param duplicateWindowMilliseconds the same text for the same person is a duplicate within this time; 0: never.
   * @throws LockLostError
   */
  async beginSending(
    fallback: LockedFallback,
    sms: ComposedSms,
    duplicateWindowMilliseconds = 0,
  ): Promise<Obstacle | null> {
    if (duplicateWindowMilliseconds === 0) return begin(this.dataSource.manager, fallback, sms, 0);
    return this.dataSource.transaction(async (manager) => {
      // Two duplicates take turns: the next statement sees what the other one committed.
      await manager.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `${sms.toNumber}\n${sms.body}`,
      ]);
      return begin(manager, fallback, sms, duplicateWindowMilliseconds);
    });
  }

  /** @throws LockLostError */
  async end(fallback: LockedFallback, step: EndStep): Promise<void> {
    await this.change(this.dataSource.manager, fallback, step, new Date());
  }

  /**
   * Releases the lock and plans the next look, in one transaction.
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
    step: EndStep | WaitStep,
    nextAttemptAt: Date,
  ): Promise<void> {
    const { state, reason, unansweredAttempts, problem, failedAttempt, originalSentAt } = step;
    const rows = await manager.query<unknown[]>(
      `with changed as (
         update sms_fallbacks
            set state = $3, reason = $4, unanswered_attempts = $5::integer,
                unanswered_since = case when $5::integer > 0 then unanswered_since end,
                last_error_code = coalesce($6, last_error_code), last_error = coalesce($7, last_error),
                next_attempt_at = $8, locked_until = null, updated_at = now(),
                original_sent_at = coalesce($9, original_sent_at), duplicate_of = coalesce($10, duplicate_of),
                earlier_attempts = case when $11::text is null then earlier_attempts
                                        else ${withAttempt('$11::text', '$6::text')} end
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
        originalSentAt ?? null,
        'duplicateOf' in step ? step.duplicateOf : null,
        failedAttempt ?? null,
      ],
    );
    assertLocked(rows, fallback);
  }

  private async publishAttemptDue(manager: EntityManager, smsFallbackId: string, at: Date): Promise<void> {
    const event = smsFallbackAttemptDue(smsFallbackId, at);
    await this.publisher.publish(manager, 'sms_fallback.attempt_due', [event], { at });
  }
}

/** SQL: the failed attempts of a row of `sms_fallbacks` and its last one. */
export function withAttempt(outcome: string, code: string): string {
  return `earlier_attempts || jsonb_build_array(jsonb_build_object(
    'at', coalesce(attempt_started_at, now()), 'from', from_number, 'messagingServiceSid', messaging_service_sid,
    'outcome', ${outcome}, 'code', ${code}, 'smsMessageSid', sms_message_sid
  ))`;
}

/** SQL: whether an SMS is one of the fallback's that are known to have failed. */
export function isOfEarlierAttempt(smsMessageSid: string): string {
  return `earlier_attempts @> jsonb_build_array(jsonb_build_object('smsMessageSid', ${smsMessageSid}))`;
}

async function insertClaim(
  manager: EntityManager,
  event: WhatsappPolicyFailed,
  holdMilliseconds: number,
): Promise<{ readonly id: string; readonly nextAttemptAt: Date } | undefined> {
  const { messageSid, messageEventId, accountSid, toNumber, callbackUrl } = event;
  const [claimed] = await manager.query<{ id: string; nextAttemptAt: Date }[]>(
    `with claimed as (
       insert into sms_fallbacks (
         id, original_message_sid, message_event_id, account_sid, to_number, user_id, parent_user_id, status_callback_url,
         next_attempt_at, reason, due_since
       )
       values (
         $1, $2, $3, $4, $5, $6, $7, coalesce($8, (${LAST_CALLBACK_URL})),
         -- A job's time has no microseconds, and must not be earlier.
         date_trunc('milliseconds', now()) + $9 * interval '1 millisecond', case when $9 > 0 then 'held' end,
         case when $9 > 0 then now() + $9 * interval '1 millisecond' end
       )
       on conflict (original_message_sid) do nothing
       returning id, next_attempt_at
     )
     select id, next_attempt_at as "nextAttemptAt" from claimed`,
    [
      uuidv7(),
      messageSid,
      messageEventId,
      accountSid,
      toNumber,
      // A job of an earlier version has no IDs.
      event.userId ?? null,
      event.parentUserId ?? null,
      callbackUrl,
      holdMilliseconds,
    ],
  );
  return claimed;
}

interface BeginRow {
  readonly isBegun: boolean;
  readonly isDelivered: boolean;
  readonly smsMessageSid: string | null;
  readonly duplicateOf: string | null;
}

async function begin(
  manager: EntityManager,
  fallback: LockedFallback,
  sms: ComposedSms,
  duplicateWindowMilliseconds: number,
): Promise<Obstacle | null> {
  const [row] = await manager.query<BeginRow[]>(
    duplicateWindowMilliseconds === 0 ? BEGIN : BEGIN_WITHOUT_DUPLICATE,
    [
      fallback.id,
      fallback.lock,
      sms.toNumber,
      sms.fromNumber,
      sms.messagingServiceSid,
      sms.body,
      sms.truncated,
      LOCK_SECONDS_TO_SEND,
      sms.encoding,
      sms.segments,
      sms.notCarriedOver,
      sms.originalSentAt,
      fallback.originalMessageSid,
      DELIVERED_STATUSES,
      ...(duplicateWindowMilliseconds === 0 ? [] : [fallback.accountSid, duplicateWindowMilliseconds]),
    ],
  );
  if (row?.isDelivered === true) return { kind: 'delivered_by_whatsapp' };
  if (row !== undefined && row.smsMessageSid !== null) {
    return { kind: 'delivered_by_sms', smsMessageSid: row.smsMessageSid };
  }
  if (row !== undefined && row.duplicateOf !== null) return { kind: 'duplicate', of: row.duplicateOf };
  assertLocked(row?.isBegun === true ? [row] : [], fallback);
  return null;
}

/** Part of the statement that commits the intent, so that nothing happens between the check and the POST. */
const beginStatement = (duplicate: string) => `
with log as (
  select exists (
           select from message_events where message_sid = $13 and message_status = any ($14::text[])
         ) as is_delivered,
         (
           select message_sid from message_events
            where sms_fallback_id = $1 and message_status = any ($14::text[])
              and not exists (
                select from sms_fallbacks as other
                 where other.sms_message_sid = message_events.message_sid and other.id <> $1
              )
            order by created_at limit 1
         ) as sms_message_sid,
         (${duplicate}) as duplicate_of
),
begun as (
  update sms_fallbacks
     set state = 'sending', reason = null, attempts = attempts + 1,
         unanswered_attempts = unanswered_attempts + 1, unanswered_since = coalesce(unanswered_since, now()),
         attempt_started_at = now(), updated_at = now(),
         to_number = $3, from_number = $4, messaging_service_sid = $5, body = $6, truncated = $7,
         encoding = $9, segments = $10, not_carried_over = coalesce($11, '{}'::text[]), original_sent_at = $12
    from log
   where id = $1 and locked_until = $2::timestamptz and locked_until > now() + $8 * interval '1 second'
     and not is_delivered and log.sms_message_sid is null and log.duplicate_of is null
  returning id
)
select exists (select from begun) as "isBegun", is_delivered as "isDelivered", sms_message_sid as "smsMessageSid",
       duplicate_of as "duplicateOf"
  from log`;

const BEGIN = beginStatement('null::uuid');

/** An SMS that may be on its way counts, one that failed does not. */
const BEGIN_WITHOUT_DUPLICATE = beginStatement(`
  select id from sms_fallbacks
   where to_number = $3 and body = $6 and account_sid = $15 and id <> $1 and state in ('sending', 'uncertain', 'sent')
     and attempt_started_at > now() - $16 * interval '1 millisecond'
   order by attempt_started_at limit 1`);

/**
 * Polled policy failures carry no callback URL; earlier callbacks do. A fallback claimed after one of those has its
 * URL, so one of the last few rows has it, or none has.
 */
const LAST_CALLBACK_URL = `
  select status_callback_url
    from (select status_callback_url, created_at, id from sms_fallbacks order by created_at desc, id desc limit 100) as latest
   where status_callback_url is not null
   order by created_at desc, id desc limit 1`;

function assertLocked(changed: readonly unknown[], fallback: LockedFallback): void {
  if (changed.length === 0) throw new LockLostError(`The lock of the fallback ${fallback.id} has run out`);
}
