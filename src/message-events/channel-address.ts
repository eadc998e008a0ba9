export interface ChannelAddress {
  /** The prefix of the address in lower case; null where there is none. */
  readonly channel: string | null;
  /** The address without its prefix. */
  readonly number: string | null;
}

/** Takes an address apart that Twilio gives with the channel in front, e.g. `whatsapp:+15551234567`. */
export function parseAddress(address: string | null): ChannelAddress {
  const [, channel, number] = /^([a-z][a-z0-9_-]*):(.*)$/is.exec(address ?? '') ?? [];
  return { channel: channel?.toLowerCase() ?? null, number: number ?? address };
}
