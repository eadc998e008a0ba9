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
