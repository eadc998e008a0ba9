/** A phone number in E.164, or with its country code and the usual separators. */
const NUMBER_IN_TEXT = /\+\d(?:[\s().-]{0,2}\d){5,14}/g;

/** A WhatsApp user ID: the country, `ENT.` if it is a parent business's, and the person's part. */
const USER_ID = /^([A-Z]{2}\.(?:ENT\.)?)([A-Za-z0-9]{1,128})$/;

/** A user ID has many digits; a short word after a dot is not an ID. */
const USER_ID_IN_TEXT = /\b[A-Z]{2}\.(?:ENT\.)?(?=[A-Za-z]*\d)[A-Za-z0-9]{8,128}\b/g;

/** Masks all digits but the last four: `+*******4567`. In a WhatsApp user ID, letters too: `US.****4567`. */
export function maskNumber(number: string): string {
  const [, country, person] = USER_ID.exec(number) ?? [];
  if (country !== undefined && person !== undefined) return country + person.replace(/.(?=.{4})/g, '*');
  return number.replace(/\d(?=(?:\D*\d){4})/g, '*');
}

/** Masks the international numbers and the WhatsApp user IDs in a text, e.g. in the message of an error. */
export function maskNumbersIn(text: string): string {
  return text.replace(NUMBER_IN_TEXT, maskNumber).replace(USER_ID_IN_TEXT, maskNumber);
}

/** An international number without a plus, as in WhatsApp's parameters. Shorter ones may be times or codes. */
const BARE_NUMBER = /^\d{11,15}$/;

/** Copies a JSON value with the international numbers in its strings masked. */
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

/** Masks for a number and for a text that may contain numbers. */
export function masks(showNumbers: boolean): { readonly number: Mask; readonly text: Mask } {
  if (showNumbers) return { number: (value) => value, text: (value) => value };
  return {
    number: (value) => value && maskNumber(value),
    text: (value) => value && maskNumbersIn(value),
  };
}
