import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type DomainEventJob, DomainEventPublisher } from '../domain-events/domain-events.js';
import { storable } from '../message-events/exact-json.js';
import { MessageEventsService } from '../message-events/message-events.service.js';
import { NEVER_SENT_CODES } from '../message-events/message-status-report.js';
import type { WhatsappPolicyFailed } from '../message-events/policy-failure.js';
import type { SentSms } from '../messages/message-recorder.js';
import { DELIVERED_STATUSES } from '../messages/message-status.js';
import { GroupCommit, isDataError, OF_ONE_TURN } from '../process/group-commit.js';
import { InjectDatabase } from '../process/inject-database.js';
import type { EndReason, WaitReason } from './fallback-reasons.js';
import {
  type FallbackEnd,
  smsFallbackAttemptDue,
  smsFallbackEnded,
  type SmsFallbackEnded,
} from './fallback.events.js';
import * as sql from './fallback.sql.js';
import type { RetryCandidate } from './retry-decision.js';
import type { Offer } from './sender-pace.js';
import type { ComposedSms } from './sms-composer.js';
import type { SmsFallbackState } from './sms-fallback-state.js';
import { type EarlierAttempt, SmsFallback } from './sms-fallback.entity.js';

/** How long a worker holds the lock of a fallback. Longer than any work on it can take. */
const LOCK_SECONDS = 30;

/**
 * The remaining lock time that is required to hand an SMS to Twilio: longer than Twilio's client waits for the answer.
 */
const LOCK_SECONDS_TO_SEND = 15;

/** Transactions of steps that share no statement. The pool has connections left for callbacks. */
const MOST_TRANSACTIONS = 4;

/** How long a step waits for callbacks that wait for their commit, at the most. */
const YIELD_MILLISECONDS = 200;

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
  /** The line of its sender that it waits in. */
  readonly line?: Line;
}

/** A fallback's place among those that wait for a sender's pace. */
export interface Line {
  readonly pacedBy: string;
  /** When the original is too old; null: never. */
  readonly sendBefore: Date | null;
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

/** A sent SMS that has no row in `messages`. */
export interface UnrecordedSms extends SentSms {
  /** `sms_fallbacks.id` */
  readonly id: string;
  /** `message_events.id` of the event that caused it. */
  readonly eventId: string;
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
  private readonly columns: ReturnType<DataSource['getMetadata']>['columns'];
  private readonly claims: GroupCommit<WhatsappPolicyFailed, LockedFallback | null>;
  private readonly lateFailures: GroupCommit<LateFailure, boolean>;
  private readonly beginnings: GroupCommit<Beginning, BeginRow | null>;
  private readonly records: GroupCommit<SentRecord, RecordedSms | null>;
  private readonly locks: GroupCommit<string, LockedFallback | null>;
  private readonly changes: GroupCommit<Change, boolean>;
  private readonly limit = pLimit(MOST_TRANSACTIONS);

  constructor(
    @InjectDatabase() private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
    messageEvents: MessageEventsService,
  ) {
    this.columns = dataSource.getMetadata(SmsFallback).columns;
    // An SMS can wait for seconds, a callback cannot.
    const yielding = { ...OF_ONE_TURN, beforeCommit: () => messageEvents.untilCalm(YIELD_MILLISECONDS) };
    this.claims = new GroupCommit((events) => this.claimAll(events), isDataError, yielding);
    this.lateFailures = new GroupCommit((failures) => this.findForgotten(failures), isDataError, OF_ONE_TURN);
    const beginAll = (items: readonly Beginning[]) => begin(dataSource.manager, sql.BEGIN, items);
    this.beginnings = new GroupCommit(beginAll, isDataError, yielding);
    // Records are committed at once: until then, an accepted SMS is in doubt.
    this.records = new GroupCommit((sms) => this.recordAll(sms), isDataError, OF_ONE_TURN);
    this.locks = new GroupCommit((ids) => this.lockAll(ids), isDataError, yielding);
    this.changes = new GroupCommit((changes) => this.changeAll(changes), isDataError, yielding);
  }

  /**
   * Claims the original message. Claims at the same time share a commit.
   * @param holdMilliseconds how long its first attempt waits; it is planned in the same transaction.
   * @returns its new fallback, locked; or the id of a fallback that waits or that was claimed before.
   */
  async claim(event: WhatsappPolicyFailed, holdMilliseconds: number): Promise<LockedFallback | string> {
    if (holdMilliseconds === 0) {
      const claimed = await this.claims.add(event);
      if (claimed !== null) return claimed;
    } else {
      await this.transaction(async (manager) => {
        const parameters = [JSON.stringify([toClaim(event)]), holdMilliseconds, null];
        const [held] = await manager.query<LockedRow[]>(sql.CLAIM, parameters);
        if (held !== undefined)
          await this.publishAttemptDue(manager, held.id, this.toLocked(held).nextAttemptAt);
      });
    }
    const { id } = await this.dataSource.manager.findOneOrFail(SmsFallback, {
      select: { id: true },
      where: { originalMessageSid: event.messageSid },
    });
    return id;
  }

  private async claimAll(events: readonly WhatsappPolicyFailed[]): Promise<(LockedFallback | null)[]> {
    const claims = events.map(toClaim);
    const parameters = [JSON.stringify(claims), 0, LOCK_SECONDS];
    const rows = await this.dataSource.query<LockedRow[]>(sql.CLAIM, parameters);
    const claimed = new Map(rows.map((row) => [row.id, row]));
    return claims.map(({ id }) => {
      const row = claimed.get(id);
      return row === undefined ? null : this.toLocked(row);
    });
  }

  /**
   * Whether an SMS may have been sent for a new fallback, and the database has forgotten it.
   * @param lateAt from then on, the failure became known late.
   */
  mayBeForgotten({ messageEventId }: LockedFallback, lateAt: Date): Promise<boolean> {
    return this.lateFailures.add({ messageEventId, lateAt });
  }

  private async findForgotten(failures: readonly LateFailure[]): Promise<boolean[]> {
    const rows = await this.dataSource.query<{ position: number; mayBe: boolean }[]>(sql.MAY_BE_FORGOTTEN, [
      failures.map(({ messageEventId }) => messageEventId),
      failures.map(({ lateAt }) => lateAt),
    ]);
    const found = new Map(rows.map(({ position, mayBe }) => [position, mayBe]));
    return failures.map((_, position) => found.get(position) ?? true);
  }

  /** @returns null if the fallback has ended, is not due, or is locked by another worker. */
  lock(id: string): Promise<LockedFallback | null> {
    return this.locks.add(id);
  }

  private async lockAll(ids: readonly string[]): Promise<(LockedFallback | null)[]> {
    const rows = await this.dataSource.query<LockedRow[]>(sql.LOCK, [ids, LOCK_SECONDS]);
    const locked = new Map(rows.map((row) => [row.id, row]));
    return ids.map((id) => {
      const row = locked.get(id);
      // Of two jobs for one fallback, the first one gets it.
      locked.delete(id);
      return row === undefined ? null : this.toLocked(row);
    });
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
   * Intents at the same time share a commit.
   * @param duplicateWindowMilliseconds the same text for the same person is a duplicate within this time; 0: never.
   * @throws LockLostError
   */
  async beginSending(
    fallback: LockedFallback,
    sms: ComposedSms,
    duplicateWindowMilliseconds = 0,
  ): Promise<Obstacle | null> {
    const beginning = { fallback, sms };
    if (duplicateWindowMilliseconds === 0) return obstacleOf(fallback, await this.beginnings.add(beginning));
    return this.transaction(async (manager) => {
      // Two duplicates take turns: the next statement sees what the other one committed.
      await manager.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `${sms.toNumber}\n${sms.body}`,
      ]);
      const window = [duplicateWindowMilliseconds];
      const [row = null] = await begin(manager, sql.BEGIN_WITHOUT_DUPLICATE, [beginning], window);
      return obstacleOf(fallback, row);
    });
  }

  /**
   * Ends the fallback, and releases the lock. Ends at the same time share a commit.
   * @throws LockLostError
   */
  async end(fallback: LockedFallback, step: EndStep): Promise<void> {
    const { originalMessageSid, smsMessageSid } = fallback;
    const { state, reason } = step;
    const job = this.endedJob(fallback.id, { originalMessageSid, state, reason, smsMessageSid });
    await this.change({ fallback, step, nextAttemptAt: fallback.now(), job });
  }

  /**
   * Releases the lock and plans the next look, in one commit. In a sender's line no look is planned: `release` plans it.
   * An SMS in doubt is looked for meanwhile.
   * @throws LockLostError
   */
  async postpone(fallback: LockedFallback, step: WaitStep, until: Date): Promise<void> {
    const isInLine = step.line !== undefined && step.state === 'claimed';
    const job = isInLine ? null : attemptDueJob(fallback.id, until);
    await this.change({ fallback, step, nextAttemptAt: until, job });
  }

  private async change(change: Change): Promise<void> {
    const isChanged = await this.changes.add(change);
    assertLocked(isChanged ? [change] : [], change.fallback);
  }

  private async changeAll(changes: readonly Change[]): Promise<boolean[]> {
    const rows = await this.dataSource.query<{ position: number }[]>(sql.CHANGE, [
      JSON.stringify(changes.map(toChange)),
    ]);
    const changed = new Set(rows.map(({ position }) => position));
    return changes.map((_, position) => changed.has(position));
  }

  /**
   * Records the SMS that Twilio has accepted. It does not require the lock: an accepted SMS is a fact, even if the
   * worker was slow. An SMS that is known to have failed changes nothing. SMS at the same time share a commit.
   * @returns `taken` if the SMS belongs to another fallback; null if this one was sent before.
   */
  async recordSent(sms: SentRecord): Promise<RecordedSms | 'taken' | null> {
    try {
      return await this.records.add(sms);
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }

  private async recordAll(records: readonly SentRecord[]): Promise<(RecordedSms | null)[]> {
    const ids = records.map(({ id }) => id);
    const parameters = [
      ids,
      records.map(({ smsMessageSid }) => smsMessageSid),
      records.map(({ body }) => body),
      records.map(({ conversationId }) => conversationId),
      DELIVERED_STATUSES,
      records.map(({ id, originalMessageSid, smsMessageSid }) =>
        this.endedJob(id, { originalMessageSid, state: 'sent', reason: null, smsMessageSid }),
      ),
    ];
    const rows = await this.dataSource.query<RecordedRow[]>(sql.RECORD_SENT, parameters);
    // A fallback keeps one SMS, even if two are recorded at once.
    const recorded = new Map(rows.map((row) => [`${row.id} ${row.smsMessageSid}`, row]));
    return records.map(({ id, smsMessageSid }) => recorded.get(`${id} ${smsMessageSid}`) ?? null);
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
    return this.transaction(async (manager) => {
      await manager.query(sql.LOCK_ROW, [id]);
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
      else await this.publishEnd(manager, sms.fallback);
      return { sms, isReopened: again !== null };
    });
  }

  /**
   * Lets as many fallbacks of a sender's line send as it may now, in the order of their deadlines, and lets those go that
   * are too late.
   * @returns how many may send.
   */
  async release(
    manager: EntityManager,
    pacedBy: string,
    { tokens, opensInMilliseconds }: Pick<Offer, 'tokens' | 'opensInMilliseconds'>,
  ): Promise<number> {
    const parameters = [pacedBy, opensInMilliseconds, tokens];
    const released = await manager.query<{ id: string; isAdmitted: boolean }[]>(sql.RELEASE, parameters);
    await this.publishDueNow(
      manager,
      released.map(({ id }) => id),
    );
    return released.filter(({ isAdmitted }) => isAdmitted).length;
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
    return this.transaction(async (manager) => {
      const statement = stalled === 'open' ? sql.TAKE_UP_OPEN : sql.TAKE_UP_REPORTED;
      const taken = await manager.query<{ id: string }[]>(statement, [limit]);
      await this.publishDueNow(
        manager,
        taken.map(({ id }) => id),
      );
      return taken.length;
    });
  }

  /** Finds the sent SMS among these messages that have no row in `messages`, and locks their fallbacks. */
  findUnrecordedSms(manager: EntityManager, messageSids: readonly string[]): Promise<UnrecordedSms[]> {
    return manager.query(sql.UNRECORDED_SMS, [messageSids]);
  }

  /** Notes the rows of sent SMS in `messages`. @param notAdded how an earlier note about them begins. */
  async noteMessages(
    manager: EntityManager,
    messages: readonly { readonly id: string; readonly messageId: string }[],
    notAdded: string,
  ): Promise<void> {
    const rows = messages.map(({ id, messageId }) => ({ id, message_id: messageId }));
    await manager.query(sql.NOTE_ADDED, [JSON.stringify(rows), notAdded]);
  }

  /** Notes why the rows of sent SMS are not in `messages`. */
  async noteMissingMessages(
    manager: EntityManager,
    notes: readonly { readonly messageSid: string; readonly note: string }[],
  ): Promise<void> {
    if (notes.length === 0) return;
    await manager.query(sql.NOTE_NOT_ADDED, [
      notes.map(({ messageSid }) => messageSid),
      notes.map(({ note }) => note),
    ]);
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

  private transaction<Result>(work: (manager: EntityManager) => Promise<Result>): Promise<Result> {
    return this.limit(() => this.dataSource.transaction(work));
  }

  private toLocked(row: LockedRow): LockedFallback {
    const difference = row.database_now.getTime() - Date.now();
    const now = () => new Date(Date.now() + difference);
    const fields: Record<string, unknown> = {};
    for (const { databaseName, propertyName } of this.columns) fields[propertyName] = row[databaseName];
    return Object.assign(new SmsFallback(), fields, { lock: row.lock, now });
  }

  /** @returns null if nothing in the application listens to it. */
  private endedJob(id: string, end: FallbackEnd): DomainEventJob | null {
    const [event] = this.endedEvents(id, end);
    return event === undefined ? null : { name: 'sms_fallback.ended', event };
  }

  private endedEvents(id: string, end: FallbackEnd): SmsFallbackEnded[] {
    return this.publisher.hasListeners('sms_fallback.ended') ? [smsFallbackEnded(id, end)] : [];
  }

  private async publishEnd(
    manager: EntityManager,
    { id, originalMessageSid, smsMessageSid }: SmsFallback,
  ): Promise<void> {
    const end = { originalMessageSid, state: 'failed', reason: 'never_sent', smsMessageSid } as const;
    await this.publisher.publish(manager, 'sms_fallback.ended', this.endedEvents(id, end));
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

/** A row by its columns' names, with its lock and the database's time. */
type LockedRow = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly lock: string;
  readonly database_now: Date;
};

function toClaim(event: WhatsappPolicyFailed) {
  return {
    id: uuidv7(),
    original_message_sid: event.messageSid,
    message_event_id: event.messageEventId,
    account_sid: event.accountSid,
    to_number: event.toNumber,
    user_id: event.userId,
    parent_user_id: event.parentUserId,
    status_callback_url: event.callbackUrl,
  };
}

interface LateFailure extends Pick<SmsFallback, 'messageEventId'> {
  readonly lateAt: Date;
}

function attemptDueJob(smsFallbackId: string, at: Date): DomainEventJob {
  return { name: 'sms_fallback.attempt_due', event: smsFallbackAttemptDue(smsFallbackId, at) };
}

interface Change {
  readonly fallback: LockedFallback;
  readonly step: EndStep | WaitStep;
  readonly nextAttemptAt: Date;
  readonly job: DomainEventJob | null;
}

function toChange({ fallback, step, nextAttemptAt, job }: Change, position: number) {
  const { state, reason, unansweredAttempts, problem, failedAttempt, originalSentAt } = step;
  const line = 'line' in step ? step.line : undefined;
  return {
    position,
    id: fallback.id,
    lock: fallback.lock,
    state,
    reason,
    unanswered_attempts: unansweredAttempts,
    error_code: problem?.code,
    error: storable(problem?.message),
    next_attempt_at: nextAttemptAt,
    original_sent_at: originalSentAt,
    duplicate_of: 'duplicateOf' in step ? step.duplicateOf : null,
    failed_attempt: failedAttempt,
    paced_by: line?.pacedBy,
    send_before: line?.sendBefore,
    job,
  };
}

interface Beginning {
  readonly fallback: LockedFallback;
  readonly sms: ComposedSms;
}

interface BeginRow {
  /** Its index in the batch: two attempts of one fallback may be in it, and one holds the lock. */
  readonly position: number;
  readonly isBegun: boolean;
  readonly isDelivered: boolean;
  readonly smsMessageSid: string | null;
  readonly duplicateOf: string | null;
}

/** @returns a row for each, in their order; null for a fallback that is gone. */
async function begin(
  manager: EntityManager,
  statement: string,
  beginnings: readonly Beginning[],
  parameters: readonly unknown[] = [],
): Promise<(BeginRow | null)[]> {
  const rows = await manager.query<BeginRow[]>(statement, [
    JSON.stringify(beginnings.map(toBeginning)),
    LOCK_SECONDS_TO_SEND,
    DELIVERED_STATUSES,
    ...parameters,
  ]);
  const found = new Map(rows.map((row) => [row.position, row]));
  return beginnings.map((_, position) => found.get(position) ?? null);
}

function toBeginning({ fallback, sms }: Beginning, position: number) {
  return {
    position,
    id: fallback.id,
    lock: fallback.lock,
    original_message_sid: fallback.originalMessageSid,
    account_sid: fallback.accountSid,
    to_number: sms.toNumber,
    conversation_id: sms.conversationId,
    from_number: sms.fromNumber,
    messaging_service_sid: sms.messagingServiceSid,
    body: sms.body,
    truncated: sms.truncated,
    encoding: sms.encoding,
    segments: sms.segments,
    not_carried_over: sms.notCarriedOver,
    original_sent_at: sms.originalSentAt,
  };
}

/** @throws LockLostError */
function obstacleOf(fallback: LockedFallback, row: BeginRow | null): Obstacle | null {
  if (row?.isDelivered === true) return { kind: 'delivered_by_whatsapp' };
  if (row !== null && row.smsMessageSid !== null) {
    return { kind: 'delivered_by_sms', smsMessageSid: row.smsMessageSid };
  }
  if (row !== null && row.duplicateOf !== null) return { kind: 'duplicate', of: row.duplicateOf };
  assertLocked(row?.isBegun === true ? [row] : [], fallback);
  return null;
}

/** An SMS that Twilio has accepted. */
export type SentRecord = Pick<SmsFallback, 'id' | 'originalMessageSid' | 'body' | 'conversationId'> & {
  readonly smsMessageSid: string;
};

type RecordedRow = RecordedSms & SentRecord;

function isTaken(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { constraint } = error.driverError as { constraint?: unknown };
  return constraint === 'sms_fallbacks_sms_message_sid_key';
}

function assertLocked(changed: readonly unknown[], fallback: LockedFallback): void {
  if (changed.length === 0) throw new LockLostError(`The lock of the fallback ${fallback.id} has run out`);
}
