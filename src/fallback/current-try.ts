import type { EarlierAttempt, SmsFallback } from './sms-fallback.entity.js';

/**
 * The waits and limits of a fallback are those of its current try: the first one, or the last one that somebody
 * requested. are those of its current try: the first one, or the last one begun on purpose.
 */

/** When the current try began. */
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
