import type { EarlierAttempt, SmsFallback } from './sms-fallback.entity.js';

/** A fallback's waits and limits are those of its current try: the first one, or the last one begun on purpose. */

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

/** Since when an SMS is looked for whose sending was not answered; it may be a new look at an old attempt. */
export function lookingSince(attemptStartedAt: Date, { retriedAt }: Pick<SmsFallback, 'retriedAt'>): Date {
  return retriedAt !== null && retriedAt > attemptStartedAt ? retriedAt : attemptStartedAt;
}
