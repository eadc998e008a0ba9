import type { Statistics } from './answers.js';

export interface Range {
  readonly name: string;
  readonly label: string;
  readonly milliseconds: number;
  /** What the course is counted in. */
  readonly bucket: Statistics['bucket'];
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const BUCKET_MILLISECONDS = { minute: 60_000, hour: HOUR, day: DAY } as const;

/** With a whole bucket: of those of a range that ends now, the last alone is not over. */
export function beginOf({ milliseconds, bucket }: Range, now: number): Date {
  const step = BUCKET_MILLISECONDS[bucket];
  return new Date(Math.floor((now - milliseconds) / step) * step);
}

/** @returns when the last bucket begins, which is not over, in milliseconds since 1970. `to` is after its begin. */
export function currentBucket({ to, bucket }: Pick<Statistics, 'to' | 'bucket'>): number {
  const step = BUCKET_MILLISECONDS[bucket];
  return (Math.ceil(Date.parse(to) / step) - 1) * step;
}

export const DEFAULT_RANGE: Range = { name: 'day', label: '24 hours', milliseconds: DAY, bucket: 'hour' };

export const RANGES: readonly Range[] = [
  { name: 'hour', label: 'Last hour', milliseconds: HOUR, bucket: 'minute' },
  DEFAULT_RANGE,
  { name: 'week', label: '7 days', milliseconds: 7 * DAY, bucket: 'hour' },
  { name: 'fortnight', label: '14 days', milliseconds: 14 * DAY, bucket: 'day' },
];
