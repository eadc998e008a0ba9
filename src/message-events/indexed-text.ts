/**
 * The maximum length of a code in an indexed column, in characters. PostgreSQL refuses a row with more than 2.7 KB for
 * one index.
 */
export const CODE_LENGTH = 64;
export const NUMBER_LENGTH = 256;

/** Cuts a text for an indexed column; an event's payload keeps all of it. Real ones are far shorter. */
export function indexedText(text: string, length: number): string {
  // A cut may split a surrogate pair, and PostgreSQL rejects half of one.
  return text.slice(0, length).toWellFormed();
}
