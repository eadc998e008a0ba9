import { z } from 'zod';
import { eventSchema } from './event-view.js';
import { fallbackSchema } from './fallback-schema.js';

const leg = z.object({
  messageSid: z.string(),
  channel: z.string().nullable(),
  currentStatus: z.string().nullable().describe('the highest by rank, whatever the order of the callbacks'),
  href: z.string().describe('the journey of this message'),
  events: z.array(eventSchema).describe('in the order in which the statuses occurred'),
});

export const journeySchema = leg.extend({
  role: z.enum(['original', 'fallback_sms', 'alone']),
  companyId: z.string().nullable(),
  decision: z.string().describe('whether there was an SMS, and why'),
  fallback: fallbackSchema.extend({ href: z.string() }).nullable(),
  counterpart: leg.nullable().describe('the SMS of an original, or the original of an SMS'),
});

export type JourneyView = z.output<typeof journeySchema>;
export type LegView = z.output<typeof leg>;
