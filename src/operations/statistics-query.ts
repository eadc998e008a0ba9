import { z } from 'zod';
import { time } from './page.js';

const DAY = 86_400_000;

/** How long a bucket is, in milliseconds, and how long a time may be told in such buckets. */
export const BUCKETS = {
  minute: { milliseconds: 60_000, longest: DAY / 4 },
  hour: { milliseconds: 3_600_000, longest: 14 * DAY },
  day: { milliseconds: DAY, longest: 92 * DAY },
} as const;

/** Default: the last day. */
export const statisticsQuery = z
  .strictObject({
    from: time.optional().describe('default: a day before `to`'),
    to: time.optional().describe('default: now'),
    bucket: z
      .enum(['minute', 'hour', 'day'])
      .default('hour')
      .describe('in UTC; minutes for at most 6 hours, hours for 14 days, days for 92 days'),
  })
  .transform(({ from, to = new Date(), bucket }) => ({
    from: from ?? new Date(to.getTime() - Math.min(DAY, BUCKETS[bucket].longest)),
    to,
    bucket,
  }))
  .superRefine(({ from, to, bucket }, context) => {
    const duration = to.getTime() - from.getTime();
    if (duration <= 0) context.addIssue({ code: 'custom', path: ['from'], message: 'is not before `to`' });
    if (duration > BUCKETS[bucket].longest) {
      const message = `is too fine for so long a time: ${BUCKETS[bucket].longest / 3_600_000} hours at the most`;
      context.addIssue({ code: 'custom', path: ['bucket'], message });
    }
  });

export type StatisticsQuery = z.output<typeof statisticsQuery>;

const count = z.number().int();
const meaning = z.string().describe('the reason in words');
const seconds = z.number().nullable().describe('in seconds');

export const statisticsSchema = z.object({
  from: z.date(),
  to: z.date(),
  bucket: z.enum(['minute', 'hour', 'day']),
  events: z
    .array(
      z.object({
        at: z.date().describe('begin of the bucket'),
        channel: z.string(),
        status: z.string(),
        errorCode: z.string().nullable(),
        count,
      }),
    )
    .describe('events that were stored, by bucket'),
  funnel: z
    .object({
      policyFailures: count.describe('WhatsApp messages for which an SMS was claimed'),
      smsSent: count,
      smsDelivered: count,
      open: count,
      skipped: z.array(z.object({ reason: z.string(), meaning, count })),
      failed: z.array(z.object({ reason: z.string(), meaning, errorCode: z.string().nullable(), count })),
    })
    .describe('what became of the policy failures of that time'),
  course: z
    .array(
      z.object({
        at: z.date().describe('begin of the bucket'),
        policyFailures: count,
        smsSent: count,
        smsDelivered: count,
        skipped: count,
        failed: count,
      }),
    )
    .describe('the funnel, by bucket'),
  timeToSms: z
    .object({ p50: seconds, p95: seconds, longest: seconds })
    .describe('from the callback to the acceptance of its SMS, of the newest 1000 of that time'),
});

export type Statistics = z.output<typeof statisticsSchema>;
