import type { CallbackTimes } from './ledger.js';
import { type ExpectedSms, expectedSms, type PlannedMessage } from './planned-message.js';
import { DELIVERED, FAILED } from './status-steps.js';

/**
 * How long after its last check of the log a worker may hand an SMS to Twilio, in milliseconds. The longest SIGSTOP is
 * 8 s (fault-schedule.ts); the rest is for a busy machine.
 */
const LONGEST_HAND_OVER_MILLISECONDS = 12_000;

/** The information that the service received, and when. */
export interface Knowledge {
  /** Whether the service must know of this original's policy failure. */
  readonly isTold: (messageSid: string) => boolean;
  /** When the application handed an original to Twilio, in milliseconds since 1970. */
  readonly sentAt: (messageSid: string) => number;
  readonly callbacks: CallbackTimes;
}

/**
 * Whether the service can know the person's number when it composes the SMS. `perhaps`: the callback that names it came
 * late or was not acknowledged, so both an SMS and no SMS are right.
 */
export type NumberKnowledge = 'known' | 'perhaps' | 'unknown';

/** The expected result for an original. */
export interface Expectation {
  /** The required SMS; null: it must have none. */
  readonly sms: ExpectedSms | null;
  /** Whether there must be an SMS. */
  readonly isObligatory: boolean;
  /** An SMS after this time is wrong, because WhatsApp had delivered the original. In milliseconds since 1970. */
  readonly noSmsAfter: number;
  /** The states in which its fallback may end, each with its reason, e.g. `skipped delivered_meanwhile`. */
  readonly ends: ReadonlySet<string>;
}

export function expectationOf(original: PlannedMessage, knowledge: Knowledge): Expectation {
  const number = numberKnowledge(original, knowledge);
  const noSmsAfter = smsTimeLimit(original, knowledge);
  const mayBeDelivered = isEverDelivered(original);
  const sms = number === 'unknown' ? null : expectedSms(original);
  return {
    sms,
    isObligatory: sms !== null && number === 'known' && !mayBeDelivered && knowledge.isTold(original.sid),
    noSmsAfter,
    ends: new Set([
      ...(noSmsAfter === -Infinity ? [] : endsWithoutDelivery(original, number)),
      // After an unanswered attempt, a delivery leaves open whether the person also has an SMS.
      ...(mayBeDelivered ? ['skipped delivered_meanwhile', 'failed no_answer_from_twilio'] : []),
    ]),
  };
}

/** Whether WhatsApp delivers the original at any time. */
export function isEverDelivered({ steps }: PlannedMessage): boolean {
  return steps.some(({ status }) => DELIVERED.includes(status));
}

export function numberKnowledge(
  { sid, isToUserId, numberToldBy }: PlannedMessage,
  { callbacks, sentAt }: Knowledge,
): NumberKnowledge {
  if (!isToUserId) return 'known';
  if (numberToldBy === null || callbacks.toldAt(numberToldBy) === null) return 'unknown';
  const acknowledgedAt = callbacks.acknowledgedAt(numberToldBy);
  return acknowledgedAt !== null && acknowledgedAt < sentAt(sid) ? 'known' : 'perhaps';
}

function endsWithoutDelivery({ fails, company }: PlannedMessage, number: NumberKnowledge): string[] {
  if (!fails) return [];
  if (company === null) return ['skipped conversation_without_company'];
  return [
    ...(number === 'unknown' ? [] : ['sent']),
    ...(number === 'known' ? [] : ['skipped recipient_number_unknown']),
  ];
}

/**
 * @returns -Infinity if the delivery was acknowledged before the failure was reported: then there must be no SMS at
 * all.
 */
function smsTimeLimit({ sid }: PlannedMessage, { callbacks }: Knowledge): number {
  const deliveredAt = callbacks.acknowledgedAt(sid, DELIVERED);
  if (deliveredAt === null) return Infinity;
  const failedAt = callbacks.toldAt(sid, FAILED);
  return failedAt !== null && failedAt > deliveredAt
    ? -Infinity
    : deliveredAt + LONGEST_HAND_OVER_MILLISECONDS;
}
