/** Twilio refuses a longer body with error 21617. */
export const MAXIMUM_SMS_LENGTH = 1600;

const ELLIPSIS = '…';

export interface SmsText {
  readonly text: string;
  readonly truncated: boolean;
}

/** Cuts a text so that it fits into an SMS, never in the middle of a character. */
export function toSmsText(text: string): SmsText {
  if (text.length <= MAXIMUM_SMS_LENGTH) return { text, truncated: false };
  const cut = text.slice(0, MAXIMUM_SMS_LENGTH - ELLIPSIS.length);
  // Half of a surrogate pair at the end would be sent as a replacement character.
  const whole = cut.isWellFormed() ? cut : cut.slice(0, -1);
  return { text: whole + ELLIPSIS, truncated: true };
}
