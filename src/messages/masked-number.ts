/** A telephone number in E.164, or as people write one that begins with its country code. */
const NUMBER_IN_TEXT = /\+\d(?:[\s().-]{0,2}\d){5,14}/g;

/** Every digit but the last four as `*`: `+*******4567`. */
export function maskNumber(number: string): string {
  return number.replace(/\d(?=(?:\D*\d){4})/g, '*');
}

/** Masks the international numbers in a text, e.g. in the message of an error. */
export function maskNumbersIn(text: string): string {
  return text.replace(NUMBER_IN_TEXT, maskNumber);
}
