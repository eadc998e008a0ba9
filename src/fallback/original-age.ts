import type { LoggedEvent } from '../message-events/message-history.js';
import type { FallbackModuleOptions } from './fallback.module-definition.js';

type DatedEvent = Pick<LoggedEvent, 'messageStatus' | 'source' | 'createdAt' | 'dateSent'>;

/** Statuses that a message reaches only after it was sent or its sending was tried. */
const AFTER_SENDING: ReadonlySet<string> = new Set([
  'sent',
  'failed',
  'undelivered',
  'partially_delivered',
  'delivered',
  'read',
]);

/** Sources for the sending time of the original, besides the event log. */
export interface OtherDates {
  /** Twilio's `date_sent`; null if Twilio does not say. */
  readonly twilioSentAt: Date | null;
  /** When the application stored the message. */
  readonly storedAt: Date | null;
  /** When the fallback was claimed; used if nothing else is known. */
  readonly claimedAt: Date;
}

/** When the original was sent, by the log alone; null if the log does not say. */
export function sentAtByLog(events: readonly DatedEvent[]): Date | null {
  const callback = events.find(
    ({ messageStatus, source }) => messageStatus === 'sent' && source === 'callback',
  );
  const polled = events.flatMap(({ dateSent }) => validDate(dateSent) ?? []);
  const known = callback?.createdAt ?? polled[0];
  return known === undefined ? null : earliest([known, ...timesAfterSending(events)]);
}

/**
 * When the original was sent: its first `sent` event, else Twilio's date, else when the application stored it. It is
 * never later than the first event after a sending, even if clocks differ.
 */
export function originalSentAt(events: readonly DatedEvent[], dates: OtherDates): Date {
  const { twilioSentAt, storedAt, claimedAt } = dates;
  const after = timesAfterSending(events);
  const known = sentAtByLog(events) ?? twilioSentAt ?? startedAt(events, storedAt) ?? after[0] ?? claimedAt;
  return earliest([known, ...after]);
}

/** A row may be stored long before its message is sent. A later event before the sending is closer. */
function startedAt(events: readonly DatedEvent[], storedAt: Date | null): Date | null {
  // The sending time of a scheduled message is unknown, so the next event counts as the sending.
  if (events.some(({ messageStatus }) => messageStatus === 'scheduled')) return null;
  const before = events.filter(({ messageStatus }) => !AFTER_SENDING.has(messageStatus));
  const times = [storedAt, ...before.map(({ createdAt }) => createdAt)].filter((time) => time !== null);
  return times.length === 0 ? null : new Date(Math.max(...times.map((time) => time.getTime())));
}

function timesAfterSending(events: readonly DatedEvent[]): Date[] {
  return events
    .filter(({ messageStatus }) => AFTER_SENDING.has(messageStatus))
    .map(({ createdAt }) => createdAt);
}

function earliest(times: readonly [Date, ...Date[]]): Date {
  return new Date(Math.min(...times.map((time) => time.getTime())));
}

function validDate(text: string | null): Date | null {
  if (text === null) return null;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** An SMS fallback hours late is worse than none; WhatsApp itself tries for as long. */
export const MAXIMUM_AGE_MILLISECONDS = 240 * 60_000;

/** Twilio keeps an SMS that it cannot deliver for ten hours by default. */
const VALIDITY_PERIOD_SECONDS = 4 * 60 * 60;

/** Meta usually rejects a message within seconds. */
export const LATE_FAILURE_MILLISECONDS = 60_000;

/** When an original becomes too old for an SMS. */
export function deadlineOf(
  sentAt: Date,
  {
    maximumAgeMilliseconds = MAXIMUM_AGE_MILLISECONDS,
  }: Pick<FallbackModuleOptions, 'maximumAgeMilliseconds'>,
): Date {
  return new Date(sentAt.getTime() + maximumAgeMilliseconds);
}

/** Whole seconds until an original is too old for an SMS; 0 or less once it is. */
export function secondsLeft(
  sentAt: Date,
  now: Date,
  options: Pick<FallbackModuleOptions, 'maximumAgeMilliseconds'>,
): number {
  return Math.floor((deadlineOf(sentAt, options).getTime() - now.getTime()) / 1_000);
}

/** @param left seconds until the SMS is too late; null if no limit applies. */
export function validityPeriodSeconds(
  left: number | null,
  options: Pick<FallbackModuleOptions, 'validityPeriodSeconds'>,
): number {
  const usual = options.validityPeriodSeconds ?? VALIDITY_PERIOD_SECONDS;
  return left === null ? usual : Math.max(1, Math.min(usual, left));
}
