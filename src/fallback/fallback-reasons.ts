import { isOutageReason, outageInWords } from '../twilio/outage-reasons.js';
import { finalRejection } from '../twilio/send-error.js';
import type { PolicyReason } from './fallback-policy.js';
import type { RetryDecision } from './retry-decision.js';
import type { SmsFallbackState } from './sms-fallback-state.js';
import type { SmsFallback } from './sms-fallback.entity.js';

/** Why a fallback ends without an SMS although no sending failed. */
export type SkipReason =
  | 'original_message_not_found'
  | 'original_message_deleted'
  | 'too_late'
  | 'delivered_meanwhile'
  | 'duplicate_of'
  | 'conversation_without_company'
  | 'no_sender_number'
  | 'no_recipient'
  | 'recipient_number_unknown'
  | 'no_text'
  | 'text_not_rendered';

/** Why the SMS could not be sent. */
export type FailureReason =
  'rejected_by_twilio' | 'twilio_unavailable' | 'no_answer_from_twilio' | 'never_sent';

export type EndReason = SkipReason | FailureReason | PolicyReason;

/** What an open fallback waits for. */
export type WaitReason =
  | 'held'
  | 'deferred'
  | 'waiting_for_original_message'
  | 'twilio_unavailable'
  | 'no_answer_from_twilio'
  | 'sms_taken_by_another_fallback'
  | 'sender_refused'
  | 'waiting_for_sender'
  | 'sms_never_sent';

/** Meanings by `state reason`, by reason, and by state, looked up in this order. */
const MEANINGS: Readonly<Record<string, string>> = {
  'claimed twilio_unavailable': 'Twilio does not accept the SMS now; retrying automatically.',
  'failed twilio_unavailable': 'Twilio did not accept the SMS before it was too late to send it.',
  'uncertain no_answer_from_twilio':
    'Twilio’s answer to the send request was lost; checking whether it accepted the SMS.',
  'failed no_answer_from_twilio':
    'Twilio did not answer a send request, and it is unknown whether it accepted the SMS.',
  waiting_for_original_message: 'The message is not stored yet; looking again automatically.',
  sms_taken_by_another_fallback:
    'The SMS that was found belongs to another fallback with the same text; still looking for its own.',
  rejected_by_twilio: 'Twilio rejected the SMS.',
  original_message_not_found:
    'No message has this SID in messages.twilio_sid. Store it, then try the fallback again.',
  original_message_deleted: 'Twilio no longer has the message, so its text is unknown: it was deleted there.',
  conversation_without_company:
    'The message belongs to no company. Set conversations.company_id, then try the fallback again.',
  no_sender_number:
    'There is no sender number. Set companies.phone_number or TWILIO_PHONE_NUMBER_REMINDERS, then try the fallback again.',
  too_late:
    'The WhatsApp message is older than FALLBACK_MAX_AGE_MINUTES allows. To send the SMS anyway, try the fallback again with --ignore-age.',
  delivered_meanwhile: 'WhatsApp delivered the message before the SMS was sent.',
  duplicate_of: 'Another SMS with the same text went to this person shortly before.',
  recipient_number_unknown:
    'The recipient is known by a WhatsApp user ID or a masked number only. Once an event or the application names the number, try the fallback again.',
  text_not_rendered:
    'The text is a template with placeholders or its variables, and Twilio has no rendered text. Store the text in messages.body, then try the fallback again.',
  never_sent: 'Twilio accepted the SMS, and reported later that it never sent it.',
  sms_never_sent: 'Twilio accepted the SMS and never sent it; another attempt is planned.',
  sender_refused: 'Twilio cannot send from this sender; the default sender is tried next.',
  waiting_for_sender:
    'The sender has reached its pace: the SMS is sent when its turn comes, the most urgent first.',
  deferred: 'Waiting for the time that the rules allow.',
  held: 'Waiting for FALLBACK_HOLD_SECONDS, in case WhatsApp delivers late.',
  no_recipient: 'Neither the callback nor Twilio names the recipient.',
  no_text: 'Neither messages.body nor Twilio has a text, e.g. for a picture, or with message redaction.',
  claimed: 'The SMS is waiting to be sent.',
  sending: 'The SMS is being sent to Twilio.',
  uncertain: 'Checking whether Twilio accepted the SMS.',
  sent: 'Twilio accepted the SMS.',
};

const FINAL_REJECTIONS = {
  opted_out: 'The person has opted out of your SMS. That is final.',
  recipient_rejected: 'Twilio rejected the recipient: this number cannot receive SMS.',
} as const;

/** Explains the state of a fallback, and what the operator can do. */
export function fallbackInWords({
  state,
  reason,
  lastErrorCode = null,
}: Pick<SmsFallback, 'state' | 'reason'> & Partial<Pick<SmsFallback, 'lastErrorCode'>>): string {
  const rejection = finalRejection(lastErrorCode);
  if (state === 'failed' && rejection !== null) return FINAL_REJECTIONS[rejection];
  const meaning =
    MEANINGS[`${state} ${reason ?? ''}`] ?? MEANINGS[reason ?? state] ?? otherwise(state, reason);
  if (reason !== 'too_late' || !isOutageReason(lastErrorCode)) return meaning;
  return `${meaning} Part of that time Twilio could not be used: ${outageInWords(lastErrorCode).meaning}`;
}

function otherwise(state: SmsFallbackState, reason: string | null): string {
  if (state === 'skipped' && reason !== null) return `The rules allow no SMS: ${reason}.`;
  return `It is ${state}${reason === null ? '' : `: ${reason}`}.`;
}

const DECISIONS: Readonly<Record<RetryDecision, string>> = {
  claimed_again: 'claimed again: the SMS is composed again and sent',
  settled_first: 'an SMS may have been sent: this is checked first, and one is sent only if not',
  due_now: 'had not ended: its next step is taken now',
  in_progress: 'is being worked on at this moment: nothing changed',
  sent_before: 'its SMS was sent before: nothing is sent',
  opted_out: 'the person has opted out of SMS, which is final: nothing is sent',
  recipient_rejected: 'Twilio rejected the number, which cannot receive SMS: nothing is sent',
  erased: 'its number and its text are erased: nothing is sent',
  delivered_by_whatsapp: 'WhatsApp delivered the message after all: nothing is sent',
  too_late: 'the WhatsApp message is too old: nothing is sent, unless the age is ignored (--ignore-age)',
};

/** The result of a retry, as the end of a sentence about the fallback. */
export function retryInWords(decision: RetryDecision): string {
  return DECISIONS[decision];
}
