/** A telephone number in E.164, or as people write one that begins with its country code. */
const NUMBER_IN_TEXT = /\+\d(?:[\s().-]{0,2}\d){5,14}/g;

/** A WhatsApp user ID: the country, `ENT.` for a parent business's, and what belongs to the person. */
const USER_ID = /^([A-Z]{2}\.(?:ENT\.)?)([A-Za-z0-9]{1,128})$/;

/** A user ID has many digits; a short word after a dot is no ID. */
const USER_ID_IN_TEXT = /\b[A-Z]{2}\.(?:ENT\.)?(?=[A-Za-z]*\d)[A-Za-z0-9]{8,128}\b/g;

/** Every digit but the last four as `*`: `+*******4567`. Of a WhatsApp user ID every letter, too: `US.****4567`. */
export function maskNumber(number: string): string {
  const [, country, person] = USER_ID.exec(number) ?? [];
  if (country !== undefined && person !== undefined) return country + person.replace(/.(?=.{4})/g, '*');
  return number.replace(/\d(?=(?:\D*\d){4})/g, '*');
}

/** Masks the international numbers and the WhatsApp user IDs in a text, e.g. in the message of an error. */
export function maskNumbersIn(text: string): string {
  return text.replace(NUMBER_IN_TEXT, maskNumber).replace(USER_ID_IN_TEXT, maskNumber);
}

/** An international number without its plus, as WhatsApp's parameters have it. Shorter ones may be times or codes. */
const BARE_NUMBER = /^\d{11,15}$/;

/** A copy of a JSON value with the international numbers in its texts masked. */
export function maskDeep<Value>(value: Value): Value;
export function maskDeep(value: unknown): unknown {
  if (typeof value === 'string') return BARE_NUMBER.test(value) ? maskNumber(value) : maskNumbersIn(value);
  if (Array.isArray(value)) return value.map((item) => maskDeep(item as unknown));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [maskNumbersIn(name), maskDeep(item as unknown)]),
  );
}

type Mask = (value: string | null) => string | null;

/** What stands for a number, and for a text in which there may be some. */
export function masks(showNumbers: boolean): { readonly number: Mask; readonly text: Mask } {
  if (showNumbers) return { number: (value) => value, text: (value) => value };
  return {
    number: (value) => value && maskNumber(value),
    text: (value) => value && maskNumbersIn(value),
  };
}
