import type { SmsFallback } from './sms-fallback.entity.js';

/** A fallback's waits and limits are those of its current try: the first one, or the last one begun on purpose. */

/** When the current try began. */
export function tryStartedAt({ retriedAt, createdAt }: Pick<SmsFallback, 'retriedAt' | 'createdAt'>): Date {
  return retriedAt ?? createdAt;
}

/** Since when an SMS is looked for whose sending was not answered; it may be a new look at an old attempt. */
export function lookingSince(attemptStartedAt: Date, { retriedAt }: Pick<SmsFallback, 'retriedAt'>): Date {
  return retriedAt !== null && retriedAt > attemptStartedAt ? retriedAt : attemptStartedAt;
}
