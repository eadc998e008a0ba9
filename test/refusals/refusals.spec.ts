import { describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Refusals } from '../../src/refusals/refusals.js';

Logger.overrideLogger(false);

describe('refusals of more addresses than are counted apart', () => {
  const message = 'Further refusals are not logged';

  it('share one count, and those that are counted apart keep theirs', async () => {
    const refusals = new Refusals({ limitPerMinute: 2, maximumAddresses: 2, message });
    const isLimited = async (address: string) => (await refusals.count(address)) !== null;
    expect(await isLimited('first')).toBe(false);
    expect(await isLimited('second')).toBe(false);
    expect(await isLimited('third')).toBe(false);
    expect(await isLimited('fourth')).toBe(false);
    expect(await isLimited('fifth')).toBe(true);
    expect(await isLimited('first')).toBe(false);
    expect(await isLimited('first')).toBe(true);
    expect(await isLimited('second')).toBe(false);
  });

  it('are counted for each of them where no maximum is given', async () => {
    const refusals = new Refusals({ limitPerMinute: 1, message });
    for (const address of ['first', 'second', 'third']) expect(await refusals.count(address)).toBeNull();
    expect(await refusals.count('third')).toBeGreaterThanOrEqual(1);
  });
});
