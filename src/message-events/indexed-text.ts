/** Of what stands in an indexed column, in characters. PostgreSQL refuses a row with more than 2.7 KB for one index. */
export const CODE_LENGTH = 64;
export const NUMBER_LENGTH = 256;

/** Cuts a text for an indexed column; an event's payload keeps all of it. Real ones are far shorter. */
export function indexedText(text: string, length: number): string {
  // A cut may go through the middle of a pair of surrogates, and PostgreSQL holds no half of one.
  return text.slice(0, length).toWellFormed();
}
