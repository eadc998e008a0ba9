import { z } from 'zod';
import { SMS_FALLBACK_STATES } from '../fallback/sms-fallback-state.js';
import { creation, cursorOf, flag, limit, numbers, parameters, person, time } from './page.js';

/** The query of `GET /fallbacks`: fallbacks that match all given conditions. */
export const fallbackQuery = parameters({
  state: z.enum(SMS_FALLBACK_STATES).optional(),
  reason: z.string().min(1).max(64).optional().describe('e.g. conversation_without_company'),
  overdue: flag.describe(
    'true: only those whose SMS has been due for more than 15 minutes, however often it was tried',
  ),
  undelivered: flag.describe(
    'true: only those whose SMS was sent, and then reported as failed or undelivered',
  ),
  number: person
    .optional()
    .describe('of the recipient: a number with its country, e.g. +15551234567, or a WhatsApp user ID'),
  from: time.optional().describe('claimed at this time or later'),
  to: time.optional().describe('claimed before this time'),
  limit,
  cursor: cursorOf(creation),
  numbers,
});

export type FallbackQuery = z.output<typeof fallbackQuery>;

export const numbersQuery = parameters({ numbers });

export const retryQuery = parameters({
  ignoreAge: flag.describe('true: retry however old the WhatsApp message is'),
});

export type RetryQuery = z.output<typeof retryQuery>;

export type NumbersQuery = z.output<typeof numbersQuery>;

/** The id of a fallback, or the SID of its original message or of its SMS. */
export const fallbackName = z
  .string()
  .min(1)
  .max(64)
  .describe('its id, or the SID of its original message or of its SMS');
