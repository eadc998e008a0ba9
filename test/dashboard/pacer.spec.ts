import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Pacer } from '../../dashboard/pacer.js';

const AN_HOUR = 3_600_000;

describe("the pace of the page's requests", () => {
  /** The start of each piece of work, in milliseconds since the start of the test. */
  let begun: number[];
  let signals: AbortSignal[];
  let end: () => void;
  let pacer: Pacer;

  beforeEach(() => {
    jest.useFakeTimers({ now: 0 });
    begun = [];
    signals = [];
    const origin = performance.now();
    pacer = new Pacer((signal) => {
      begun.push(performance.now() - origin);
      signals.push(signal);
      return new Promise((resolve) => {
        end = resolve;
      });
    });
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  async function pass(milliseconds: number): Promise<void> {
    await jest.advanceTimersByTimeAsync(milliseconds);
  }

  /** Ends the current work after this time. */
  async function endAfter(milliseconds: number): Promise<void> {
    await pass(milliseconds);
    end();
    await pass(0);
  }

  it('is one answer at a time, whoever asks meanwhile, and then one for all of them', async () => {
    pacer.ask();
    pacer.ask();
    await pass(0);
    pacer.ask();
    pacer.ask();
    await pass(AN_HOUR);
    expect(begun).toEqual([0]);
    end();
    await pass(AN_HOUR);
    expect(begun).toHaveLength(2);
    end();
    await pass(AN_HOUR);
    expect(begun).toHaveLength(2);
  });

  it.each([
    ['a second', 20, 1_000],
    ['ten times as long as the answer took', 700, 7_000],
    ['a minute at the most', 20_000, 60_000],
  ])('leaves the service alone for %s', async (_, milliseconds, pause) => {
    pacer.ask();
    await endAfter(milliseconds);
    pacer.ask();
    await pass(pause - 1);
    expect(begun).toEqual([0]);
    await pass(1);
    expect(begun).toEqual([0, milliseconds + pause]);
  });

  it('gives way to a person who waits, during a pause', async () => {
    pacer.ask();
    await endAfter(700);
    await pass(1_000);
    pacer.hurry();
    await pass(0);
    expect(begun).toEqual([0, 1_700]);
    expect(signals[0]?.aborted).toBe(false);
  });

  it('gives way to a person who waits, while another answer is under way', async () => {
    pacer.ask();
    await pass(700);
    pacer.hurry();
    expect(signals[0]?.aborted).toBe(true);
    await pass(300);
    expect(begun).toEqual([0]);
    end();
    await pass(0);
    expect(begun).toEqual([0, 1_000]);
    expect(signals[1]?.aborted).toBe(false);
  });
});
