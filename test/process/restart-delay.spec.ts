import { describe, expect, it } from '@jest/globals';
import { restartDelay } from '../../src/cluster/restart-delay.js';

describe('the wait before a process is started again', () => {
  it('doubles up to half a minute while each of them dies young', () => {
    const waits = [restartDelay(0, 1_000)];
    while (waits.length < 9) waits.push(restartDelay(waits.at(-1) ?? 0, 1_000));
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('begins anew once one has lived for a minute', () => {
    expect(restartDelay(30_000, 59_999)).toBe(30_000);
    expect(restartDelay(30_000, 60_000)).toBe(500);
  });
});
