import { z } from 'zod';
import type { MessageEvent } from '../message-events/message-event.entity.js';
import { masks } from '../messages/phone-number.js';
import { pageOf } from './page.js';

export const eventSchema = z.object({
  id: z.uuid(),
  messageSid: z.string(),
  channel: z.string(),
  status: z.string(),
  errorCode: z.string().nullable(),
  error: z.string().nullable(),
  to: z.string().nullable(),
  userId: z
    .string()
    .nullable()
    .describe("WhatsApp's ID of a recipient who hides the number behind a username"),
  from: z.string().nullable(),
  accountSid: z.string(),
  source: z.enum(['callback', 'poll']).describe('callback: Twilio called; poll: Twilio was asked'),
  fallbackId: z.uuid().nullable().describe('the fallback whose SMS this is about'),
  createdAt: z.date().describe('when it was stored'),
});

export const eventPage = pageOf(eventSchema);

export type EventView = z.output<typeof eventSchema>;

/** An event without the application's data and without the payload. */
export type EventRow = Pick<
  MessageEvent,
  | 'id'
  | 'messageSid'
  | 'messageStatus'
  | 'channel'
  | 'toNumber'
  | 'fromNumber'
  | 'userId'
  | 'parentUserId'
  | 'errorCode'
  | 'errorMessage'
  | 'accountSid'
  | 'source'
  | 'smsFallbackId'
  | 'createdAt'
>;

export function eventView(event: EventRow, showNumbers: boolean): EventView {
  const { number, text } = masks(showNumbers);
  return {
    id: event.id,
    messageSid: event.messageSid,
    channel: event.channel,
    status: event.messageStatus,
    errorCode: event.errorCode,
    error: text(event.errorMessage),
    to: number(event.toNumber),
    userId: number(event.userId ?? event.parentUserId),
    from: number(event.fromNumber),
    accountSid: event.accountSid,
    source: event.source,
    fallbackId: event.smsFallbackId,
    createdAt: event.createdAt,
  };
}
