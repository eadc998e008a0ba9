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

export const DEFAULT_RANGE: Range = { name: 'day', label: '24 hours', milliseconds: DAY, bucket: 'hour' };

export const RANGES: readonly Range[] = [
  { name: 'hour', label: 'Last hour', milliseconds: HOUR, bucket: 'minute' },
  DEFAULT_RANGE,
  { name: 'week', label: '7 days', milliseconds: 7 * DAY, bucket: 'hour' },
  { name: 'fortnight', label: '14 days', milliseconds: 14 * DAY, bucket: 'day' },
];
