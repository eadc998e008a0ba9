import { parsePhoneNumberFromString } from 'libphonenumber-js/min';

/** E.164 in ASCII digits. The shortest numbers in use have seven digits with their country code, e.g. in Niue. */
const E164 = /^\+[1-9][0-9]{6,14}$/;

/**
 * Whether a text has the form of E.164. Cheap enough for every callback; `smsNumber` also checks the numbering plan.
 */
export function isE164(text: string): boolean {
  return E164.test(text);
}

interface NumberForms {
  /** A number as WhatsApp, or an older numbering plan, writes it. */
  readonly other: RegExp;
  /** Converts a match to the form that SMS needs. */
  readonly toSms: (match: RegExpExecArray) => string;
  /** The form of the number that SMS needs. */
  readonly sms: RegExp;
  readonly toOther: (match: RegExpExecArray) => string;
}

/**
 * Countries in which WhatsApp's form of a number differs from the numbering plan.
 * Sources: WhatsApp's FAQ "About international phone number format" (Mexico, Argentina); Mexico's IFT, numbering plan of
 * 2019-08-03 (no 1 after +52); Brazil's Anatel, Resolution 553/2010 (a 9 before all mobile numbers; WhatsApp keeps
 * accounts of area codes from 31 up without it); Benin's ARCEP, plan of 2024-11-30 (01 before all numbers).
 */
const NUMBER_FORMS: readonly NumberForms[] = [
  {
    other: /^\+521([0-9]{10})$/,
    toSms: ([, subscriber = '']) => `+52${subscriber}`,
    sms: /^\+52([2-9][0-9]{9})$/,
    toOther: ([, subscriber = '']) => `+521${subscriber}`,
  },
  {
    other: /^\+55([1-9][1-9])([6-9][0-9]{7})$/,
    toSms: ([, area = '', subscriber = '']) => `+55${area}9${subscriber}`,
    sms: /^\+55([1-9][1-9])9([6-9][0-9]{7})$/,
    toOther: ([, area = '', subscriber = '']) => `+55${area}${subscriber}`,
  },
  {
    other: /^\+54([1-8][0-9]{9})$/,
    toSms: ([, subscriber = '']) => `+549${subscriber}`,
    sms: /^\+549([1-8][0-9]{9})$/,
    toOther: ([, subscriber = '']) => `+54${subscriber}`,
  },
  {
    other: /^\+229([2-9][0-9]{7})$/,
    toSms: ([, subscriber = '']) => `+22901${subscriber}`,
    sms: /^\+22901([2-9][0-9]{7})$/,
    toOther: ([, subscriber = '']) => `+229${subscriber}`,
  },
];

/**
 * Converts a number to the form that SMS needs, by the country's numbering plan.
 * @returns E.164; null for a text that is not E.164, or has a length that its country does not use.
 */
export function smsNumber(number: string): string | null {
  if (!isE164(number)) return null;
  const parsed = parsePhoneNumberFromString(inSmsForm(number));
  if (parsed?.isPossible() !== true) return null;
  // The library drops prefixes that are dialled within a country only, e.g. Argentina's 15.
  const normalized = inSmsForm(parsed.number);
  return isE164(normalized) ? normalized : null;
}

/** Lists every form in which a person's number may be stored, including `number` and the form for SMS. */
export function numberForms(number: string): readonly string[] {
  const sms = smsNumber(number) ?? number;
  const others = NUMBER_FORMS.flatMap(({ sms: pattern, toOther }) => {
    const match = pattern.exec(sms);
    return match === null ? [] : [toOther(match)];
  });
  return [...new Set([number, sms, ...others])];
}

function inSmsForm(number: string): string {
  for (const { other, toSms } of NUMBER_FORMS) {
    const match = other.exec(number);
    if (match !== null) return toSms(match);
  }
  return number;
}

/** The usual separators between digits: spaces, brackets, dots, slashes, and dashes of any kind. */
const SEPARATORS = /[\s().\-/\u2010-\u2015]/g;

/**
 * Reads a phone number with its country code, as people copy or type it: `+49 (170) 123-45 67`,
 * `whatsapp:+491701234567`, `tel:+49…`, `0049…`, `491701234567`. A zero in brackets is the trunk prefix, which is left
 * out from abroad.
 * @returns the number in E.164; null for any other text, and for a number without its country code.
 */
export function parsePhoneNumber(text: string): string | null {
  const [, number = ''] = /^(?:[a-z][a-z0-9_-]*:)?(.*)$/is.exec(text.trim()) ?? [];
  const digits = number
    .replace('(0)', '')
    .replace(SEPARATORS, '')
    .replace(/^(\+|00)/, '');
  return /^[1-9][0-9]{5,14}$/.test(digits) ? `+${digits}` : null;
}

/** A plus or two zeros precede a country code; `whatsapp:` and the like may precede those. */
const NAMES_COUNTRY = /^\s*(?:(?:whatsapp|sms|tel):)?\s*(?:\+|00)/i;

/**
 * Reads a person's number as an application stores it: `whatsapp:+15557770001` and `+1 (555) 777-0001` are
 * `+15557770001`.
 * @returns E.164; null for anything else, and for a number without its country code: it could be a stranger's in
 * another country.
 */
export function parseStoredNumber(text: string): string | null {
  const number = NAMES_COUNTRY.test(text) ? parsePhoneNumber(text) : null;
  return number !== null && smsNumber(number) !== null ? number : null;
}

/** Fewer digits without a plus are most likely a number without its country code. */
const BARE_NUMBER = /^\s*[1-9][0-9]{10,14}\s*$/;

/**
 * Reads the sender of an SMS as an application stores it: as a person's number, or digits alone, which Twilio accepts
 * too. Twilio rejects a sender that belongs to somebody else.
 */
export function parseSender(text: string): string | null {
  return parseStoredNumber(BARE_NUMBER.test(text) ? `+${text.trim()}` : text);
}

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
const BARE_DIGITS = /^\d{11,15}$/;

/** Copies a JSON value with the international numbers in its strings masked. */
export function maskDeep<Value>(value: Value): Value;
export function maskDeep(value: unknown): unknown {
  if (typeof value === 'string') return BARE_DIGITS.test(value) ? maskNumber(value) : maskNumbersIn(value);
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
