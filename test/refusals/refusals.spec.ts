import { describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Refusals } from '../../src/process/refusals.js';

Logger.overrideLogger(false);

describe('refusals of more addresses than are counted apart', () => {
  const message = 'Further refusals are not logged';

  it('share one count, and those that are counted apart keep theirs', async () => {
    const refusals = new Refusals({ limitPerMinute: 2, maximumNetworks: 2, message });
    const isLimited = async (address: string) => (await refusals.count(address)) !== null;
    expect(await isLimited('192.0.2.1')).toBe(false);
    expect(await isLimited('192.0.2.2')).toBe(false);
    expect(await isLimited('192.0.2.3')).toBe(false);
    expect(await isLimited('192.0.2.4')).toBe(false);
    expect(await isLimited('192.0.2.5')).toBe(true);
    expect(await isLimited('192.0.2.1')).toBe(false);
    expect(await isLimited('192.0.2.1')).toBe(true);
    expect(await isLimited('192.0.2.2')).toBe(false);
  });

  it('are counted for each address while they are few, and for each IPv6 network', async () => {
    const refusals = new Refusals({ limitPerMinute: 1, message });
    const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8:0:1::1'];
    for (const address of addresses) expect(await refusals.count(address)).toBeNull();
    expect(await refusals.count('192.0.2.2')).toBeGreaterThanOrEqual(1);
    expect(await refusals.count('2001:db8::ffff')).toBeGreaterThanOrEqual(1);
  });
});
