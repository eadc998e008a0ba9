import { isE164 } from '../messages/phone-number.js';

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

/**
 * The kinds of addresses:
 * - `phone`: a number in E.164. SMS go to this kind only;
 * - `user_id`: WhatsApp's business-scoped ID of a person who hides the number, `CC.…` or, of a parent business,
 *   `CC.ENT.…`;
 * - `masked`: a number with digits hidden, e.g. `+1555010XXXX`;
 * - `other`: anything else, e.g. a Messenger ID, an alphanumeric sender, or no address.
 */
export type AddressKind = 'phone' | 'user_id' | 'masked' | 'other';

export interface ChannelAddress {
  /** The prefix of the address in lower case, at most 64 characters; null without a prefix. */
  readonly channel: string | null;
  readonly kind: AddressKind;
  /** The address without its prefix, at most 256 characters; null if there is no address. */
  readonly text: string | null;
}

/**
 * Country, `ENT` for a parent's, and up to 128 letters and digits.
 * Source: Twilio's changelog of 2026-07-20 on WhatsApp usernames.
 */
const USER_ID = /^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$/;

/** A number with at least one digit shown and two hidden. */
const MASKED = /^\+?(?=.*[0-9])[0-9]*[Xx*•#…]{2,}[0-9Xx*•#…]*$/;

/** Parses an address as Twilio writes it, with the channel in front if it has one, e.g. `whatsapp:+15551234567`. */
export function parseAddress(address: string | null): ChannelAddress {
  if (address === null) return { channel: null, kind: 'other', text: null };
  const [, channel, rest = address] = /^([a-z][a-z0-9_-]*):(.*)$/is.exec(address) ?? [];
  return {
    channel: channel === undefined ? null : parseChannel(channel),
    kind: kindOf(rest),
    text: indexedText(rest, NUMBER_LENGTH),
  };
}

export function parseChannel(channel: string): string {
  return indexedText(channel.toLowerCase(), CODE_LENGTH);
}

/** Returns the value for a number column. IDs and masked numbers are not numbers; the payload keeps them. */
export function numberOf({ kind, text }: ChannelAddress): string | null {
  return kind === 'phone' || kind === 'other' ? text : null;
}

/** A person's IDs; a business may know either, both, or none. */
export interface UserIds {
  readonly userId: string | null;
  /** The ID that all businesses of one parent share. */
  readonly parentUserId: string | null;
}

/** @param addresses every address that may hold an ID: the recipient, `ExternalUserId`, `ParentExternalUserId`. */
export function userIdsOf(addresses: readonly ChannelAddress[]): UserIds {
  const ids = addresses.flatMap(({ kind, text }) => (kind === 'user_id' && text !== null ? [text] : []));
  return {
    userId: ids.find((id) => !isParent(id)) ?? null,
    parentUserId: ids.find(isParent) ?? null,
  };
}

/** Parses a WhatsApp user ID, with or without `whatsapp:`. @returns the bare ID; null for any other text. */
export function parseUserId(text: string): string | null {
  const address = parseAddress(text.trim());
  return address.kind === 'user_id' ? address.text : null;
}

function kindOf(text: string): AddressKind {
  if (isE164(text)) return 'phone';
  if (USER_ID.test(text)) return 'user_id';
  return MASKED.test(text) ? 'masked' : 'other';
}

function isParent(id: string): boolean {
  return id.startsWith('ENT.', 3);
}
