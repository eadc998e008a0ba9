import { z } from 'zod';
import { COUNT_UNITS } from '../follower/event-counts.js';
import { parameters, time } from './page.js';

const { minute: MINUTE, hour: HOUR, day: DAY } = COUNT_UNITS;

/** The length of each bucket, and the longest time range it may divide, in milliseconds. */
export const BUCKETS = {
  minute: { milliseconds: MINUTE, longest: DAY / 4 },
  hour: { milliseconds: HOUR, longest: 14 * DAY },
  day: { milliseconds: DAY, longest: 92 * DAY },
} as const;

/** Default: the last day. Events are counted by the minute, so both ends are whole minutes. */
export const statisticsQuery = parameters({
  from: time.optional().describe('default: a day before `to`; rounded down to a whole minute'),
  to: time.optional().describe('default: now; rounded up to a whole minute'),
  bucket: z
    .enum(['minute', 'hour', 'day'])
    .default('hour')
    .describe('in UTC; minutes for at most 6 hours, hours for 14 days, days for 92 days'),
})
  .transform(({ from, to = roundedUp(new Date()), bucket }) => ({
    from: from ?? new Date(to.getTime() - Math.min(DAY, BUCKETS[bucket].longest)),
    to,
    bucket,
  }))
  .superRefine(({ from, to, bucket }, context) => {
    const duration = to.getTime() - from.getTime();
    if (duration <= 0) context.addIssue({ code: 'custom', path: ['from'], message: 'is not before `to`' });
    if (duration > BUCKETS[bucket].longest) {
      const message = `is too fine for this time range: at most ${BUCKETS[bucket].longest / HOUR} hours`;
      context.addIssue({ code: 'custom', path: ['bucket'], message });
    }
  })
  .transform(({ from, to, bucket }) => ({
    from: new Date(Math.floor(from.getTime() / MINUTE) * MINUTE),
    to: roundedUp(to),
    bucket,
  }));

function roundedUp(time: Date): Date {
  return new Date(Math.ceil(time.getTime() / MINUTE) * MINUTE);
}

export type StatisticsQuery = z.output<typeof statisticsQuery>;

const count = z.number().int();
const meaning = z.string().describe('the reason in words');
const seconds = z.number().nullable().describe('in seconds');

export const statisticsSchema = z.object({
  from: z.date().describe('a whole minute, as is `to`: what was counted'),
  to: z.date(),
  bucket: z.enum(['minute', 'hour', 'day']),
  events: z
    .array(
      z.object({
        at: z.date().describe('start of the bucket'),
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
    .describe('the outcomes of the policy failures in that time'),
  course: z
    .array(
      z.object({
        at: z.date().describe('start of the bucket'),
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
    .describe('from the callback to the acceptance of its SMS, of the newest 200 of that time'),
});

export type Statistics = z.output<typeof statisticsSchema>;
