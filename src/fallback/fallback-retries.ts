import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { DomainEventPublisher } from '../domain-events/domain-events.js';
import { smsFallbackAttemptDue } from './fallback.events.js';
import { type FallbackOperationsOptions, OPERATIONS_OPTIONS_TOKEN } from './fallback.module-definition.js';
import { isOfEarlierAttempt } from './fallback.store.js';
import { MAXIMUM_AGE_MILLISECONDS } from './original-age.js';
import { decideRetry, type RetryCandidate, type RetryDecision } from './retry-decision.js';
import { IS_OPEN, type SmsFallbackState } from './sms-fallback-state.js';
import type { SmsFallback } from './sms-fallback.entity.js';

export interface RetriedFallback extends Pick<SmsFallback, 'id' | 'originalMessageSid' | 'smsMessageSid'> {
  readonly decision: RetryDecision;
}

export interface RetryOptions {
  /** Who requests the retry: `key:<name of the API key>`, or `cli:<user>@<host>`. It is kept in the row. */
  readonly by: string;
  /** Sends the SMS however old the original is. */
  readonly ignoreAge?: boolean;
}

type CandidateRow = RetryCandidate & Omit<RetriedFallback, 'decision'>;

/** Retries fallbacks on request. It only puts them back into the state machine; the service does the rest. */
@Injectable()
export class FallbackRetries {
  constructor(
    private readonly dataSource: DataSource,
    private readonly publisher: DomainEventPublisher,
    @Inject(OPERATIONS_OPTIONS_TOKEN) private readonly options: FallbackOperationsOptions,
  ) {}

  /**
   * Retries the fallbacks in one transaction, so pass a bounded number of ids. Waits and limits of each retried
   * fallback start anew.
   * @returns the decision for each fallback that exists, ordered by id.
   */
  async retry(ids: readonly string[], { by, ignoreAge = false }: RetryOptions): Promise<RetriedFallback[]> {
    return this.dataSource.transaction(async (manager) => {
      const retried = await this.decide(manager, ids, ignoreAge);
      const idsOf = (decision: RetryDecision) =>
        retried.filter((fallback) => fallback.decision === decision).map(({ id }) => id);
      const [claimed, uncertain, due] = [idsOf('claimed_again'), idsOf('settled_first'), idsOf('due_now')];
      await reopen(manager, 'claimed', claimed, { by, ignoreAge });
      await reopen(manager, 'uncertain', uncertain, { by, ignoreAge });
      await makeDue(manager, due, { by, ignoreAge });
      await this.publishDue(manager, [...claimed, ...uncertain, ...due]);
      return retried;
    });
  }

  /** Returns what `retry` would decide now. Nothing is changed. */
  async preview(
    ids: readonly string[],
    { ignoreAge = false }: Omit<RetryOptions, 'by'> = {},
  ): Promise<RetriedFallback[]> {
    return this.dataSource.transaction((manager) => this.decide(manager, ids, ignoreAge));
  }

  private async decide(
    manager: EntityManager,
    ids: readonly string[],
    ignoreAge: boolean,
  ): Promise<RetriedFallback[]> {
    const candidates = await manager.query<CandidateRow[]>(LOCK_CANDIDATES, [
      ids,
      ignoreAge ? null : (this.options.maximumAgeMilliseconds ?? MAXIMUM_AGE_MILLISECONDS),
    ]);
    return candidates.map((candidate) => {
      const { id, originalMessageSid, smsMessageSid } = candidate;
      return { id, originalMessageSid, smsMessageSid, decision: decideRetry(candidate) };
    });
  }

  private async publishDue(manager: EntityManager, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const events = ids.map((id) => smsFallbackAttemptDue(id, new Date()));
    await this.publisher.publish(manager, 'sms_fallback.attempt_due', events);
  }
}

/** Locks rows in the order of their ids, so that two concurrent retries cannot deadlock. */
const LOCK_CANDIDATES = `
select id, original_message_sid as "originalMessageSid", sms_message_sid as "smsMessageSid", state, reason, attempts,
       last_error_code as "lastErrorCode",
       coalesce(locked_until > now(), false) as "isLocked", erased_at is not null as "isErased",
       exists (
         select from message_events where sms_fallback_id = sms_fallbacks.id and not ${isOfEarlierAttempt('message_sid')}
       ) as "isReported",
       coalesce(original_sent_at < now() - $2 * interval '1 millisecond', false) as "isTooLate",
       exists (
         select from message_events
          where message_sid = original_message_sid and message_status in ('delivered', 'read')
       ) as "isDelivered"
  from sms_fallbacks
 where id = any($1::uuid[])
 order by id
   for update`;

async function reopen(
  manager: EntityManager,
  state: Extract<SmsFallbackState, 'claimed' | 'uncertain'>,
  ids: readonly string[],
  { by, ignoreAge }: Required<RetryOptions>,
): Promise<void> {
  if (ids.length === 0) return;
  await manager.query(
    `update sms_fallbacks
        set state = $2, reason = null, retried_at = now(), retried_by = $4, age_limit_ignored = $3,
            unanswered_attempts = case $2 when 'uncertain' then 1 else 0 end,
            unanswered_since = case $2 when 'uncertain' then coalesce(unanswered_since, created_at) end,
            next_attempt_at = now(), locked_until = null, updated_at = now()
      where id = any($1::uuid[]) and state in ('failed', 'skipped')`,
    [ids, state, ignoreAge, by],
  );
}

async function makeDue(
  manager: EntityManager,
  ids: readonly string[],
  { by, ignoreAge }: Required<RetryOptions>,
): Promise<void> {
  if (ids.length === 0) return;
  await manager.query(
    `update sms_fallbacks
        set next_attempt_at = now(), updated_at = now(), retried_by = $3, age_limit_ignored = age_limit_ignored or $2
      where id = any($1::uuid[]) and ${IS_OPEN}`,
    [ids, ignoreAge, by],
  );
}
