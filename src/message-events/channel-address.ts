import { CODE_LENGTH, indexedText, NUMBER_LENGTH } from './indexed-text.js';

export interface ChannelAddress {
  /** The prefix of the address in lower case, 64 characters of it at the most; null where there is none. */
  readonly channel: string | null;
  /** The address without its prefix, 256 characters of it at the most. */
  readonly number: string | null;
}

/** Takes an address apart that Twilio gives with the channel in front, e.g. `whatsapp:+15551234567`. */
export function parseAddress(address: string | null): ChannelAddress {
  if (address === null) return { channel: null, number: null };
  const [, channel, number = address] = /^([a-z][a-z0-9_-]*):(.*)$/is.exec(address) ?? [];
  return {
    channel: channel === undefined ? null : parseChannel(channel),
    number: indexedText(number, NUMBER_LENGTH),
  };
}

export function parseChannel(channel: string): string {
  return indexedText(channel.toLowerCase(), CODE_LENGTH);
}
