const FIRST_MILLISECONDS = 500;
const LONGEST_MILLISECONDS = 30_000;

/** A process that lived for so long has not died of its beginning. */
const LONG_LIFE_MILLISECONDS = 60_000;

/**
 * How long to wait before a process that ended is started again: twice as long each time, until one lives for a minute.
 * @param before the wait before this one; 0 where there was none.
 * @param lived how long the process lived. All in milliseconds.
 */
export function restartDelay(before: number, lived: number): number {
  if (lived >= LONG_LIFE_MILLISECONDS) return FIRST_MILLISECONDS;
  return Math.min(Math.max(FIRST_MILLISECONDS, 2 * before), LONGEST_MILLISECONDS);
}
