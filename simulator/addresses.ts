/** `whatsapp` of `whatsapp:+15551230000`; an address without a prefix is a telephone's: `sms`. */
export function channelOf(address: string): string {
  const colon = address.indexOf(':');
  return colon === -1 ? 'sms' : address.slice(0, colon);
}

/** `+15551230000` of `whatsapp:+15551230000`. */
export function withoutChannel(address: string): string {
  return address.slice(address.indexOf(':') + 1);
}

/** A number whose digits are partly replaced, e.g. `+1555010XXXX`. A user ID has other letters, or a period. */
const partlyHiddenNumber = /^(?=.*[xX*•#])\+?[\d\s().xX*•#-]+$/;

/**
 * Reads a `To` as Twilio does: for an SMS it drops every non-digit, so that even `US.13491208655302` becomes a number
 * (the project's notes on Twilio). E.164 allows 15 digits; the shortest numbers in use have 7.
 * @returns undefined for a `To` that Twilio rejects with 21211. This includes every masked number, with any count of
 * visible digits; that is not documented.
 */
export function readRecipient(to: string): string | undefined {
  if (channelOf(to) !== 'sms') return to;
  const digits = to.replaceAll(/\D/g, '');
  return partlyHiddenNumber.test(to) || digits.length < 7 || digits.length > 15 ? undefined : `+${digits}`;
}

/**
 * Whether a `From` without a channel can be a sender: E.164, a short code, or an alphanumeric sender ID
 * (https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id).
 */
export function isSmsSender(from: string): boolean {
  return (
    /^\+[1-9]\d{6,14}$/.test(from) || /^\d{5,6}$/.test(from) || /^(?=.*[a-z])[a-z\d ]{1,11}$/i.test(from)
  );
}

/**
 * Masks the last four digits of a number with `XXXX`, as Twilio does; any other address, e.g. a user ID, stays as it
 * is.
 */
export function maskedNumber(address: string): string {
  return /^([a-z]+:)?\+?\d+$/.test(address) ? address.replace(/\d{4}$/, 'XXXX') : address;
}
