import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import { NEVER_SENT_CODES } from '../message-events/message-status-report.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import { DELIVERED_STATUSES } from '../messages/message-status.js';
import type { EndReason, WaitReason } from './fallback-reasons.js';
import { smsFallbackAttemptDue } from './fallback.events.js';
import * as sql from './fallback.sql.js';
import type { RetryCandidate } from './retry-decision.js';
import type { ComposedSms } from './sms-composer.js';
import type { SmsFallbackState } from './sms-fallback-state.js';
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

/** What the log knows of an SMS when it is recorded as sent. */
export interface RecordedSms {
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

/** A delivery of the original after its SMS. */
export interface DuplicateDelivery {
  readonly smsFallbackId: string;
  readonly originalMessageSid: string;
  readonly duplicateDeliveryAt: Date;
}

/** A fallback that an operator wants to retry. */
export type RetryCandidateRow = RetryCandidate &
  Pick<SmsFallback, 'id' | 'originalMessageSid' | 'smsMessageSid'>;

/** What an operator requested, as the row keeps it. */
export interface RequestedRetry {
  readonly by: string;
  readonly ignoreAge: boolean;
}

/** The worker was so slow that another one may have taken over. Nothing was changed. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError';
}

/** Writes `sms_fallbacks`: the steps of the state machine, each committed, and what becomes known of an SMS later. */
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
    const [locked] = await this.dataSource.query<{ lock: string; now: Date }[]>(sql.LOCK, [id, LOCK_SECONDS]);
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
    const [locked] = await this.dataSource.query<{ at: Date }[]>(sql.NEXT_LOOK, [id]);
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

  /**
   * Records the SMS that Twilio has accepted. It does not require the lock: an accepted SMS is a fact, even if the
   * worker was slow. An SMS that is known to have failed changes nothing.
   * @param alongside what belongs into the same transaction.
   * @returns `taken` if the SMS belongs to another fallback; null if this one was sent before.
   */
  async recordSent(
    id: string,
    smsMessageSid: string,
    alongside: (manager: EntityManager) => Promise<void>,
  ): Promise<RecordedSms | 'taken' | null> {
    try {
      return await this.dataSource.transaction(async (manager) => {
        await lockRow(manager, id);
        const [recorded] = await manager.query<RecordedSms[]>(sql.RECORD_SENT, [id, smsMessageSid]);
        if (recorded === undefined) return null;
        await alongside(manager);
        return recorded;
      });
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }

  /** @returns false if the SMS is not a second one. */
  async noteSecondSms(id: string, smsMessageSid: string): Promise<boolean> {
    const rows = await this.dataSource.query<unknown[]>(sql.NOTE_SECOND_SMS, [
      id,
      smsMessageSid,
      `Twilio has accepted a second SMS: ${smsMessageSid}`,
    ]);
    return rows.length > 0;
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
      await lockRow(manager, id);
      const [row] = await manager.query<{ code: string; now: Date }[]>(sql.FIND_NEVER_SENT, [
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
      await manager.query(sql.REOPEN_NEVER_SENT, [id, state, reason, row.code, at]);
      if (again !== null) await this.publishAttemptDue(manager, id, at);
      return { sms, isReopened: again !== null };
    });
  }

  /** Finds sent fallbacks whose SMS was never sent, which their callbacks may not name. */
  findNeverSent(limit: number): Promise<{ smsFallbackId: string; messageSid: string }[]> {
    return this.dataSource.query(sql.NEVER_SENT, [limit, NEVER_SENT_CODES]);
  }

  /**
   * Makes fallbacks due that nothing else would continue: open ones whose job is gone, or failed ones whose SMS has
   * reported itself since. Replicas that do so at the same time share them.
   * @returns how many.
   */
  async takeUp(stalled: 'open' | 'reported', limit: number): Promise<number> {
    return this.dataSource.transaction(async (manager) => {
      const statement = stalled === 'open' ? sql.TAKE_UP_OPEN : sql.TAKE_UP_REPORTED;
      const taken = await manager.query<{ id: string }[]>(statement, [limit]);
      await this.publishDueNow(
        manager,
        taken.map(({ id }) => id),
      );
      return taken.length;
    });
  }

  /** Notes that the row of a sent SMS is in `messages`. @param notAdded how an earlier note about it begins. */
  async noteMessage(manager: EntityManager, id: string, messageId: string, notAdded: string): Promise<void> {
    await manager.query(sql.NOTE_ADDED, [id, messageId, notAdded]);
  }

  /** Notes why the row of a sent SMS is not in `messages`. */
  async noteMissingMessage(id: string, note: string, manager = this.dataSource.manager): Promise<void> {
    await manager.query(sql.NOTE_NOT_ADDED, [id, note]);
  }

  /** Finds some sent fallbacks with such a note, at random. */
  async findMissingMessages(notAdded: string, limit: number): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(sql.WITHOUT_MESSAGE, [notAdded, limit]);
    return rows.map(({ id }) => id);
  }

  /** Records what the log says of the SMS among these messages. */
  async recordOutcomes(manager: EntityManager, messageSids: readonly string[]): Promise<void> {
    await manager.query(sql.RECORD_OUTCOMES, [messageSids, DELIVERED_STATUSES]);
  }

  /** Records which of these messages WhatsApp delivered after all. @returns those that were not recorded before. */
  recordDuplicateDeliveries(
    manager: EntityManager,
    messageSids: readonly string[],
  ): Promise<DuplicateDelivery[]> {
    return manager.query(sql.RECORD_DUPLICATE_DELIVERIES, [messageSids, DELIVERED_STATUSES]);
  }

  /** Locks fallbacks that may be retried. @param maximumAgeMilliseconds null: however old the original is. */
  lockCandidates(
    manager: EntityManager,
    ids: readonly string[],
    maximumAgeMilliseconds: number | null,
  ): Promise<RetryCandidateRow[]> {
    return manager.query(sql.LOCK_CANDIDATES, [ids, maximumAgeMilliseconds]);
  }

  /** Puts ended fallbacks back into the state machine. */
  async reopen(
    manager: EntityManager,
    state: Extract<SmsFallbackState, 'claimed' | 'uncertain'>,
    ids: readonly string[],
    { by, ignoreAge }: RequestedRetry,
  ): Promise<void> {
    if (ids.length === 0) return;
    await manager.query(sql.REOPEN, [ids, state, ignoreAge, by]);
    await this.publishDueNow(manager, ids);
  }

  /** Makes open fallbacks due at once. */
  async makeDue(
    manager: EntityManager,
    ids: readonly string[],
    { by, ignoreAge }: RequestedRetry,
  ): Promise<void> {
    if (ids.length === 0) return;
    await manager.query(sql.MAKE_DUE, [ids, ignoreAge, by]);
    await this.publishDueNow(manager, ids);
  }

  private async change(
    manager: EntityManager,
    fallback: LockedFallback,
    step: EndStep | WaitStep,
    nextAttemptAt: Date,
  ): Promise<void> {
    const { state, reason, unansweredAttempts, problem, failedAttempt, originalSentAt } = step;
    const rows = await manager.query<unknown[]>(sql.CHANGE, [
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
    ]);
    assertLocked(rows, fallback);
  }

  private async publishAttemptDue(manager: EntityManager, smsFallbackId: string, at: Date): Promise<void> {
    const event = smsFallbackAttemptDue(smsFallbackId, at);
    await this.publisher.publish(manager, 'sms_fallback.attempt_due', [event], { at });
  }

  private async publishDueNow(manager: EntityManager, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const events = ids.map((id) => smsFallbackAttemptDue(id, new Date()));
    await this.publisher.publish(manager, 'sms_fallback.attempt_due', events);
  }
}

async function insertClaim(
  manager: EntityManager,
  event: WhatsappPolicyFailed,
  holdMilliseconds: number,
): Promise<{ readonly id: string; readonly nextAttemptAt: Date } | undefined> {
  const { messageSid, messageEventId, accountSid, toNumber, callbackUrl } = event;
  const [claimed] = await manager.query<{ id: string; nextAttemptAt: Date }[]>(sql.CLAIM, [
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
  ]);
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
    duplicateWindowMilliseconds === 0 ? sql.BEGIN : sql.BEGIN_WITHOUT_DUPLICATE,
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

/**
 * A separate statement, so that the next one sees what is committed by then: either the report that an SMS was never
 * sent, or the SMS of that report. Otherwise each could miss the other.
 */
async function lockRow(manager: EntityManager, id: string): Promise<void> {
  await manager.query('select from sms_fallbacks where id = $1 for update', [id]);
}

function isTaken(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { constraint } = error.driverError as { constraint?: unknown };
  return constraint === 'sms_fallbacks_sms_message_sid_key';
}

function assertLocked(changed: readonly unknown[], fallback: LockedFallback): void {
  if (changed.length === 0) throw new LockLostError(`The lock of the fallback ${fallback.id} has run out`);
}
