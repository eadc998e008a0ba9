import { isIPv4, isIPv6 } from 'node:net';

/** A proxy may forward any text that fits in a header. */
const NO_ADDRESS = '';

/**
 * Returns the part of an address that its owner cannot change at will: the first half of IPv6, because owners control
 * all of the other half, or all of IPv4.
 */
export function networkOf(text: string): string {
  const address = withoutPort(text);
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const withoutZone = address.replace(/%.*$/, '');
  if (!isIPv6(withoutZone)) return isIPv4(address) ? address : NO_ADDRESS;
  // The host of a URL has one canonical spelling, which omits the longest run of zeros.
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
