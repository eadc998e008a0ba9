import type { Statistics } from './answers.js';

export interface Range {
  readonly name: string;
  readonly label: string;
  readonly milliseconds: number;
  /** The bucket size of the chart. */
  readonly bucket: Statistics['bucket'];
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const BUCKET_MILLISECONDS = { minute: 60_000, hour: HOUR, day: DAY } as const;

/** Begins with a whole bucket, so that in a range that ends now only the last bucket is incomplete. */
export function beginOf({ milliseconds, bucket }: Range, now: number): Date {
  const step = BUCKET_MILLISECONDS[bucket];
  return new Date(Math.floor((now - milliseconds) / step) * step);
}

/** @returns the start of the last, incomplete bucket in milliseconds since 1970. `to` is later than that. */
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
