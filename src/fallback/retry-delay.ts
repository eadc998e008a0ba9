const LONGEST_DELAY_MILLISECONDS = 60_000;

/**
 * How long to wait before looking again at something that has been open for `elapsed`: half as long again, so that
 * the gaps grow, from `shortest` up to a minute. All in milliseconds.
 */
export function growingDelay(elapsed: number, shortest: number): number {
  return Math.min(Math.max(elapsed / 2, shortest), LONGEST_DELAY_MILLISECONDS);
}

/**
 * Exponential backoff with jitter, in milliseconds: about 1 s, 2 s, 4 s, … up to a minute.
 * @param attempts how many there were, from 1 up.
 */
export function backoff(attempts: number, random: () => number = Math.random): number {
  const delay = Math.min(1_000 * 2 ** (attempts - 1), LONGEST_DELAY_MILLISECONDS);
  return delay * (0.5 + random() / 2);
}
