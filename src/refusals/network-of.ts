import { isIPv4, isIPv6 } from 'node:net';

/** What a proxy forwards is any text, as long as a header can be. */
const NO_ADDRESS = '';

/**
 * The part of an address that its owner cannot change at will: of IPv6 the first half, because whoever has one address
 * has all of the other half; of IPv4 the whole.
 */
export function networkOf(text: string): string {
  const address = withoutPort(text);
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const withoutZone = address.replace(/%.*$/, '');
  if (!isIPv6(withoutZone)) return isIPv4(address) ? address : NO_ADDRESS;
  // As a host of a URL it has one spelling, in which the longest row of zeros is left out.
  const { hostname } = new URL(`http://[${withoutZone}]`);
  const [begin = [], end] = hostname
    .slice(1, -1)
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = end === undefined ? 0 : 8 - begin.length - end.length;
  const groups = [...begin, ...Array<string>(zeros).fill('0'), ...(end ?? [])];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** Some proxies forward the client's port, which changes with each connection. */
function withoutPort(text: string): string {
  const [, ipv4, ipv6] = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[([^\]]+)\](?::\d+)?)$/.exec(text) ?? [];
  return ipv4 ?? ipv6 ?? text;
}
