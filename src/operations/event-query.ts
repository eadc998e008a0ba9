import { z } from 'zod';
import { creation, cursorOf, limit, messageSid, numbers, parameters, person, time } from './page.js';

/** The query of `GET /message-events`: events that match all given conditions. */
export const eventQuery = parameters({
  messageSid: messageSid.optional(),
  channel: z.string().min(1).max(64).optional().describe('whatsapp, sms, rcs, messenger, …'),
  status: z.string().min(1).max(64).optional().describe('as Twilio names it, e.g. undelivered'),
  errorCode: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('of messages that failed or were undelivered, e.g. 63049'),
  number: person
    .optional()
    .describe('of the recipient: a number with its country, e.g. +15551234567, or a WhatsApp user ID'),
  company: z.string().min(1).max(64).optional().describe('companies.id'),
  from: time.optional().describe('stored at this time or later'),
  to: time.optional().describe('stored before this time'),
  limit,
  cursor: cursorOf(creation),
  numbers,
});

/** The same query as the body of a POST, because proxies log query strings and a number is personal data. */
export const eventSearchBody = eventQuery.extend({
  numbers: z.boolean().default(false).describe('whole telephone numbers; asking for them is logged'),
});

export type EventQuery = z.output<typeof eventQuery>;
