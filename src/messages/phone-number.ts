/** What people and other programs put between digits: spaces, brackets, dots, slashes, and dashes of any kind. */
const SEPARATORS = /[\s().\-/\u2010-\u2015]/g;

/**
 * A telephone number with its country, in the forms in which one is copied or typed: `+49 (170) 123-45 67`,
 * `whatsapp:+491701234567`, `tel:+49…`, `0049…`, `491701234567`. A zero in brackets is the one to leave out from abroad.
 * @returns the number in E.164; null for what is none, or has no country.
 */
export function parsePhoneNumber(text: string): string | null {
  const [, number = ''] = /^(?:[a-z][a-z0-9_-]*:)?(.*)$/is.exec(text.trim()) ?? [];
  const digits = number
    .replace('(0)', '')
    .replace(SEPARATORS, '')
    .replace(/^(\+|00)/, '');
  return /^[1-9]\d{5,14}$/.test(digits) ? `+${digits}` : null;
}
