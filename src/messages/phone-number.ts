import { parsePhoneNumberFromString } from 'libphonenumber-js/min';

/** E.164 in ASCII digits. The shortest numbers in use have seven digits with their country code, e.g. in Niue. */
const E164 = /^\+[1-9][0-9]{6,14}$/;

/** Whether a text is written as E.164. Cheap enough for every callback; `smsNumber` also asks the numbering plan. */
export function isE164(text: string): boolean {
  return E164.test(text);
}

interface NumberForms {
  /** A number as WhatsApp, or an older numbering plan, writes it. */
  readonly other: RegExp;
  /** The same number as SMS needs it. */
  readonly toSms: (match: RegExpExecArray) => string;
  /** The number as SMS needs it. */
  readonly sms: RegExp;
  readonly toOther: (match: RegExpExecArray) => string;
}

/**
 * Countries in which WhatsApp keeps another form of a number than the numbering plan.
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
 * The form of a number that SMS needs, by the country's numbering plan.
 * @returns E.164; null for what is not written as E.164, or has a length that its country does not use.
 */
export function smsNumber(number: string): string | null {
  if (!isE164(number)) return null;
  const parsed = parsePhoneNumberFromString(inSmsForm(number));
  if (parsed?.isPossible() !== true) return null;
  // The library drops what is dialled within a country only, e.g. Argentina's 15.
  const normalized = inSmsForm(parsed.number);
  return isE164(normalized) ? normalized : null;
}

/** Every form in which one person's number may be stored, `number` and the form for SMS included. */
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

/** What people and other programs put between digits: spaces, brackets, dots, slashes, and dashes of any kind. */
const SEPARATORS = /[\s().\-/\u2010-\u2015]/g;

/**
 * A telephone number with its country, in the forms in which one is copied or typed: `+49 (170) 123-45 67`,
 * `whatsapp:+491701234567`, `tel:+49…`, `0049…`, `491701234567`. A zero in brackets is the one to leave out from abroad.
 * @returns the number in E.164; null for any other text, and for a number without its country.
 */
export function parsePhoneNumber(text: string): string | null {
  const [, number = ''] = /^(?:[a-z][a-z0-9_-]*:)?(.*)$/is.exec(text.trim()) ?? [];
  const digits = number
    .replace('(0)', '')
    .replace(SEPARATORS, '')
    .replace(/^(\+|00)/, '');
  return /^[1-9][0-9]{5,14}$/.test(digits) ? `+${digits}` : null;
}

/** A plus or two zeros come before a country's code; `whatsapp:` and the like may come before those. */
const NAMES_COUNTRY = /^\s*(?:(?:whatsapp|sms|tel):)?\s*(?:\+|00)/i;

/**
 * A person's number as an application stores it: `whatsapp:+15557770001` and `+1 (555) 777-0001` are `+15557770001`.
 * @returns E.164; null for anything else, and for a number without its country: it could be a stranger's elsewhere.
 */
export function parseStoredNumber(text: string): string | null {
  const number = NAMES_COUNTRY.test(text) ? parsePhoneNumber(text) : null;
  return number !== null && smsNumber(number) !== null ? number : null;
}

/** Shorter digits without a plus are most likely a number without its country. */
const BARE_NUMBER = /^\s*[1-9][0-9]{10,14}\s*$/;

/**
 * The sender of an SMS as an application stores it; as a person's number, and digits alone, which Twilio takes too. A
 * sender that is somebody else's is refused by Twilio.
 */
export function parseSender(text: string): string | null {
  return parseStoredNumber(BARE_NUMBER.test(text) ? `+${text.trim()}` : text);
}
