import { finalRejection } from '../twilio/send-error.js';
import type { EarlierAttempt, SmsFallback } from './sms-fallback.entity.js';

/**
 * The result of retrying a fallback:
 * - `claimed_again`: it is claimed anew, and its SMS composed and sent;
 * - `settled_first`: an SMS of it may have been accepted; that is found out before one is sent;
 * - `due_now`: it had not ended; its next step is taken now;
 * - `in_progress`: a worker has it locked now; nothing is changed;
 * - `sent_before`: its SMS was sent; nothing is changed;
 * - `opted_out`: the person has opted out of SMS, which is final; nothing is changed;
 * - `recipient_rejected`: the number can receive no SMS; nothing is changed;
 * - `erased`: its number and its text are erased; nothing is changed;
 * - `delivered_by_whatsapp`: WhatsApp delivered the original after all; nothing is changed;
 * - `too_late`: the original is too old for an SMS, and the age limit was not overridden; nothing is changed.
 */
export type RetryDecision =
  | 'claimed_again'
  | 'settled_first'
  | 'due_now'
  | 'in_progress'
  | 'sent_before'
  | 'opted_out'
  | 'recipient_rejected'
  | 'erased'
  | 'delivered_by_whatsapp'
  | 'too_late';

export interface RetryCandidate extends Pick<SmsFallback, 'state' | 'reason' | 'attempts' | 'lastErrorCode'> {
  /** A worker has it locked now. */
  readonly isLocked: boolean;
  /** A callback of an SMS that is not known to have failed has named it. */
  readonly isReported: boolean;
  /** Its number and its text are blanked. Without them it cannot be determined whether its SMS was sent. */
  readonly isErased: boolean;
  /** WhatsApp has reported the original as delivered or read. */
  readonly isDelivered: boolean;
  /** The original is too old, and the age limit is not overridden. */
  readonly isTooLate: boolean;
}

/** The failures that are certain: Twilio did not accept the last attempt. */
const CERTAIN_FAILURES: ReadonlySet<string | null> = new Set([
  'rejected_by_twilio',
  'twilio_unavailable',
  'never_sent',
]);

/** Decides what a retry may do without ever sending a second SMS. */
export function decideRetry(candidate: RetryCandidate): RetryDecision {
  switch (candidate.state) {
    case 'sent':
      return 'sent_before';
    case 'claimed':
    case 'sending':
    case 'uncertain':
      return candidate.isLocked ? 'in_progress' : 'due_now';
    case 'skipped':
    case 'failed':
      if (candidate.isDelivered) return 'delivered_by_whatsapp';
      if (candidate.isErased) return 'erased';
      return finalRejection(candidate.lastErrorCode) ?? decideUnsent(candidate);
  }
}

function decideUnsent(candidate: RetryCandidate): RetryDecision {
  if (isInDoubt(candidate)) return 'settled_first';
  return candidate.isTooLate ? 'too_late' : 'claimed_again';
}

/** Whether a retry can lead to an SMS, now or with `ignoreAge`. Only `decideRetry` knows what WhatsApp reported. */
export function isRetryable({
  state,
  lastErrorCode,
  erasedAt,
  duplicateDeliveryAt,
}: Pick<SmsFallback, 'state' | 'lastErrorCode' | 'erasedAt' | 'duplicateDeliveryAt'>): boolean {
  switch (state) {
    case 'sent':
      return false;
    case 'claimed':
    case 'sending':
    case 'uncertain':
      return true;
    case 'skipped':
    case 'failed':
      return erasedAt === null && duplicateDeliveryAt === null && finalRejection(lastErrorCode) === null;
  }
}

/** A reason that is not known to be certain counts as doubt. */
function isInDoubt({ state, reason, attempts, isReported }: RetryCandidate): boolean {
  if (attempts === 0) return false;
  return isReported || (state === 'failed' && !CERTAIN_FAILURES.has(reason));
}

/** When the current try began, whose waits and limits count: the first try, or the last one that somebody requested. */
export function tryStartedAt({ retriedAt, createdAt }: Pick<SmsFallback, 'retriedAt' | 'createdAt'>): Date {
  return retriedAt ?? createdAt;
}

/** The failed attempts of the current try, oldest first. */
export function triedInCurrentTry(
  fallback: Pick<SmsFallback, 'earlierAttempts' | 'retriedAt' | 'createdAt'>,
): EarlierAttempt[] {
  const startedAt = tryStartedAt(fallback).getTime();
  return fallback.earlierAttempts.filter(({ at }) => new Date(at).getTime() >= startedAt);
}

/**
 * Returns the time from which to look for an SMS whose sending was not answered; it may be a new look at an old
 * attempt.
 */
export function lookingSince(attemptStartedAt: Date, { retriedAt }: Pick<SmsFallback, 'retriedAt'>): Date {
  return retriedAt !== null && retriedAt > attemptStartedAt ? retriedAt : attemptStartedAt;
}

const LONGEST_DELAY_MILLISECONDS = 60_000;

/**
 * Returns how long to wait before the next try at something that has been open for `elapsed`: about half of that, so
 * that the gaps grow exponentially, from `shortest` up to a minute. The jitter of a quarter spreads tries that began
 * together. All in milliseconds.
 */
export function growingDelay(elapsed: number, shortest: number, random: () => number = Math.random): number {
  const delay = Math.min(Math.max(elapsed / 2, shortest), LONGEST_DELAY_MILLISECONDS);
  return delay * (0.75 + random() / 2);
}
