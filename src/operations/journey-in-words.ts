import { fallbackInWords } from '../fallback/fallback-reasons.js';
import type { EarlierAttempt, SmsFallback } from '../fallback/sms-fallback.entity.js';
import { isPolicyFailure } from '../message-events/policy-failure.js';
import { statusRank } from '../messages/message-status.js';
import type { EventRow } from './fallback-view.js';

/**
 * Sorts a message's events by rank, i.e. in the order in which the statuses occurred, whatever the order of the
 * callbacks. An unknown status has no rank and stays behind the events stored before it.
 */
export function inTrueOrder<Event extends Pick<EventRow, 'messageStatus' | 'createdAt'>>(
  events: readonly Event[],
): Event[] {
  const stored = events.toSorted((one, other) => one.createdAt.getTime() - other.createdAt.getTime());
  const known = stored.filter(({ messageStatus }) => statusRank(messageStatus) > 0);
  known.sort((one, other) => statusRank(one.messageStatus) - statusRank(other.messageStatus));
  const ordered = [...known];
  for (const unknown of stored.filter(({ messageStatus }) => statusRank(messageStatus) === 0)) {
    const before = ordered.findLastIndex(({ createdAt }) => createdAt <= unknown.createdAt);
    ordered.splice(before + 1, 0, unknown);
  }
  return ordered;
}

/** Returns the highest status by rank; if no status is known, the one stored last. Null without an event. */
export function currentStatus(
  events: readonly Pick<EventRow, 'messageStatus' | 'createdAt'>[],
): string | null {
  const ordered = inTrueOrder(events);
  const known = ordered.findLast(({ messageStatus }) => statusRank(messageStatus) > 0);
  return (known ?? ordered.at(-1))?.messageStatus ?? null;
}

type Event = Pick<EventRow, 'channel' | 'messageStatus' | 'errorCode' | 'createdAt'>;

type Fallback = Pick<
  SmsFallback,
  | 'state'
  | 'reason'
  | 'smsMessageSid'
  | 'lastErrorCode'
  | 'sentAt'
  | 'earlierAttempts'
  | 'duplicateOf'
  | 'originalSentAt'
  | 'updatedAt'
>;

/** What is known of a message and of its SMS. */
export interface Journey {
  /** The events of the original message. */
  readonly events: readonly Event[];
  readonly smsEvents: readonly Event[];
  readonly fallback: Fallback | null;
  /** The error codes that lead to an SMS. */
  readonly policyFailureErrorCodes: readonly string[];
}

/**
 * Says whether the message led to an SMS, and why, e.g. `63049 on WhatsApp → SMS: sent as SM…, delivered after 4.2 s`.
 */
export function decisionInWords(journey: Journey): string {
  const { fallback } = journey;
  if (fallback === null) return withoutFallback(journey);
  const failure = policyFailureOf(journey);
  const cause = `${failure?.errorCode ?? 'A policy failure'} on WhatsApp`;
  switch (fallback.state) {
    case 'sent':
      return `${cause} → SMS: ${sentInWords(fallback)}, ${smsFate(journey, failure)}`;
    case 'skipped':
      return `${cause} → no SMS${ageInWords(fallback)}: ${meaning(fallback)}${duplicateInWords(fallback)}`;
    case 'failed': {
      const code = fallback.lastErrorCode === null ? '' : ` (${fallback.lastErrorCode})`;
      return `${cause} → SMS failed${code}: ${meaning(fallback)}${neverSentInWords(fallback)}`;
    }
    case 'claimed':
    case 'sending':
    case 'uncertain':
      return `${cause} → SMS under way: ${meaning(fallback)}`;
  }
}

/** Words the state for the middle of a sentence; a name keeps its capital letter. */
function meaning(fallback: Pick<SmsFallback, 'state' | 'reason' | 'lastErrorCode'>): string {
  const words = fallbackInWords(fallback).replace(/\.$/, '');
  return /^(?:WhatsApp|Twilio)\b/.test(words) ? words : words.charAt(0).toLowerCase() + words.slice(1);
}

function sentInWords({ smsMessageSid, earlierAttempts }: Fallback): string {
  const isAgain = earlierAttempts.some(({ outcome }) => outcome === 'never_sent');
  const before = earlierAttempts.map(attemptInWords).join(' and ');
  return `sent ${isAgain ? 'again ' : ''}as ${smsMessageSid ?? '?'}${before === '' ? '' : ` after ${before}`}`;
}

function attemptInWords({ outcome, smsMessageSid, code }: EarlierAttempt): string {
  switch (outcome) {
    case 'never_sent':
      return `Twilio had never sent ${smsMessageSid ?? 'it'} (${code})`;
    case 'sender_refused':
      return `Twilio had refused another sender (${code})`;
  }
}

function neverSentInWords({ reason, earlierAttempts }: Fallback): string {
  const sids = earlierAttempts.flatMap(({ outcome, smsMessageSid }) =>
    outcome === 'never_sent' && smsMessageSid !== null ? [smsMessageSid] : [],
  );
  return reason === 'never_sent' && sids.length > 0 ? ` (${sids.join(', ')})` : '';
}

function ageInWords({ reason, originalSentAt, updatedAt }: Fallback): string {
  if (reason !== 'too_late' || originalSentAt === null) return '';
  return ` ${inSeconds(updatedAt.getTime() - originalSentAt.getTime())} after the message was sent`;
}

function duplicateInWords({ duplicateOf }: Fallback): string {
  return duplicateOf === null ? '' : ` (fallback ${duplicateOf})`;
}

function smsFate({ smsEvents, fallback }: Journey, failure: Event | undefined): string {
  const status = currentStatus(smsEvents);
  const delivered = smsEvents.find(({ messageStatus }) => messageStatus === 'delivered');
  const since = failure?.createdAt ?? fallback?.sentAt;
  if (delivered !== undefined && since) {
    return `delivered after ${inSeconds(delivered.createdAt.getTime() - since.getTime())}`;
  }
  if (status === null) return 'no status reported yet';
  const code = smsEvents.find(({ messageStatus }) => messageStatus === status)?.errorCode ?? null;
  return code === null ? status : `${status} (${code})`;
}

function withoutFallback({ events, policyFailureErrorCodes }: Journey): string {
  const codes = new Set(policyFailureErrorCodes);
  const status = currentStatus(events);
  if (events.some((event) => isPolicyFailure(event, codes))) {
    return `${policyFailureErrorCodes.join(' or ')} on WhatsApp → the SMS has not been started yet`;
  }
  if (status === null) return 'No SMS: no status of the message was reported';
  if (status !== 'failed' && status !== 'undelivered') return `No SMS: the message is ${status}`;
  const failed = events.find(({ messageStatus }) => messageStatus === status);
  if (failed?.channel !== 'whatsapp') return `No SMS: it is ${status}, but not a WhatsApp message`;
  return `No SMS: its error ${failed.errorCode ?? '(none was named)'} is not one of ${policyFailureErrorCodes.join(', ')}`;
}

function policyFailureOf({ events, policyFailureErrorCodes }: Journey): Event | undefined {
  const codes = new Set(policyFailureErrorCodes);
  const failures = events.filter(({ channel, messageStatus, errorCode }) => {
    return channel === 'whatsapp' && /^(failed|undelivered)$/.test(messageStatus) && errorCode !== null;
  });
  // The code may have been removed from the configuration since.
  return failures.find((event) => isPolicyFailure(event, codes)) ?? failures[0];
}

/** `4.2 s`, `3 min`, `2 h`. */
function inSeconds(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
