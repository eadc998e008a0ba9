import { isIPv6 } from 'node:net';

/**
 * The part of an address that its owner cannot change at will: of IPv6 the first half, because whoever has one address
 * has all of the other half; of IPv4 the whole.
 */
export function networkOf(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const withoutZone = address.replace(/%.*$/, '');
  if (!isIPv6(withoutZone)) return address;
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
