/** Why a fallback ends without an SMS although no sending failed. */
export type SkipReason =
  | 'original_message_not_found'
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

export type EndReason = SkipReason | FailureReason;

/** What an open fallback waits for. */
export type WaitReason =
  | 'held'
  | 'waiting_for_original_message'
  | 'twilio_unavailable'
  | 'no_answer_from_twilio'
  | 'sms_taken_by_another_fallback'
  | 'sender_refused'
  | 'sms_never_sent';
