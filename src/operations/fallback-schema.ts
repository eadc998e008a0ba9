import { z } from 'zod';
import { fallbackInWords } from '../fallback/fallback-reasons.js';
import { SMS_FALLBACK_STATES } from '../fallback/sms-fallback-state.js';
import type { SmsFallback } from '../fallback/sms-fallback.entity.js';
import type { MessageEvent } from '../message-events/message-event.entity.js';
import { eventSchema } from './event-search.js';
import { fallbackEventView, fallbackView, smsTextView } from './fallback-view.js';
import { pageOf } from './page.js';

const text = z.string().nullable();
const moment = z.date().nullable();

export const fallbackSchema = z.object({
  id: z.uuid(),
  originalMessageSid: z.string(),
  state: z.enum(SMS_FALLBACK_STATES),
  reason: text,
  meaning: z.string().describe('state and reason in words, and what to do'),
  errorCode: text,
  error: text,
  attempts: z.number(),
  accountSid: z.string(),
  to: text,
  userId: text.describe("WhatsApp's ID of a recipient who hides the number behind a username"),
  from: text,
  messagingServiceSid: text,
  earlierAttempts: z
    .array(
      z.object({
        at: z.string(),
        from: text,
        messagingServiceSid: text,
        outcome: z.enum(['sender_refused', 'never_sent']),
        code: z.string(),
        smsMessageSid: text,
      }),
    )
    .describe('attempts that failed before the one that counts, oldest first'),
  smsMessageSid: text,
  encoding: text.describe('GSM-7 or UCS-2'),
  segments: z.number().nullable().describe('how many SMS the text takes, as Twilio counts them'),
  notCarriedOver: z
    .array(z.string())
    .describe('parts of the WhatsApp message that the SMS lacks: media, buttons, …'),
  duplicateOf: z.uuid().nullable().describe('the fallback whose SMS had the same text for the same person'),
  originalSentAt: moment.describe('when the WhatsApp message was sent; its age is measured from then'),
  ageLimitIgnored: z.boolean().describe('whether a retry ignored the age limit'),
  createdAt: z.date(),
  attemptStartedAt: moment,
  nextAttemptAt: z.date(),
  retriedAt: moment,
  retriedBy: text.describe('who last requested a retry: key:<name of the API key>, or cli:<user>@<host>'),
  isRetryable: z
    .boolean()
    .describe('whether a retry can lead to an SMS: not after an opt-out, or for a number without SMS'),
  sentAt: moment,
  smsDeliveredAt: moment.describe('when the SMS was reported as delivered, known some seconds later'),
  smsUndeliveredAt: moment.describe(
    'when it was reported as failed or undelivered, known some seconds later',
  ),
  smsErrorCode: text.describe('why it was not delivered'),
  duplicateDeliveryAt: moment.describe('when WhatsApp delivered the original after all'),
  erasedAt: moment.describe('when its number and its text were erased; nothing can be sent after that'),
});

export const fallbackPage = pageOf(fallbackSchema);

export const fallbackDetailsSchema = fallbackSchema.extend({
  text: text.describe('the text of the SMS'),
  truncated: z.boolean().describe('whether the text was cut to fit into an SMS'),
  events: z.array(eventSchema.extend({ message: z.enum(['original', 'sms']) })),
});

export type FallbackDetails = z.output<typeof fallbackDetailsSchema>;
export type FallbackSummary = z.output<typeof fallbackSchema>;

export function fallbackSummary(fallback: SmsFallback, showNumbers: boolean): FallbackSummary {
  return { ...fallbackView(fallback, showNumbers), meaning: fallbackInWords(fallback) };
}

export function fallbackDetails(
  fallback: SmsFallback,
  events: readonly MessageEvent[],
  showNumbers: boolean,
): FallbackDetails {
  return {
    ...fallbackSummary(fallback, showNumbers),
    ...smsTextView(fallback, showNumbers),
    events: events.map((event) => fallbackEventView(event, fallback, showNumbers)),
  };
}

export const retrySchema = z.object({
  id: z.uuid(),
  originalMessageSid: z.string(),
  smsMessageSid: text,
  decision: z.enum([
    'claimed_again',
    'settled_first',
    'due_now',
    'in_progress',
    'sent_before',
    'opted_out',
    'recipient_rejected',
    'erased',
    'delivered_by_whatsapp',
    'too_late',
  ]),
  meaning: z.string().describe('the decision in words'),
});

export type RetryView = z.output<typeof retrySchema>;
