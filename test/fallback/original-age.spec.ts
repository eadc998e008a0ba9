import { describe, expect, it } from '@jest/globals';
import { originalSentAt, secondsLeft, validityPeriodSeconds } from '../../src/fallback/original-age.js';

type Events = Parameters<typeof originalSentAt>[0];

const at = (hour: number) => new Date(Date.UTC(2026, 10, 29, hour));

function event(messageStatus: string, hour: number, more: Partial<Events[number]> = {}): Events[number] {
  return { messageStatus, source: 'callback', createdAt: at(hour), dateSent: null, ...more };
}

const failure = event('undelivered', 20);

describe('the time at which the original was sent', () => {
  const cases: [what: string, events: Events, twilio: number | null, stored: number | null, sent: number][] =
    [
      ['its first sent event, whatever else says', [event('sent', 10), event('sent', 12), failure], 5, 1, 10],
      ['Twilio’s date without a sent event', [failure], 11, 1, 11],
      ['the row’s time without either', [failure], null, 9, 9],
      ['the failure where nothing else is known', [failure], null, null, 20],
      ['the claim where not even that is', [], null, null, 21],
      ['the failure where Twilio’s clock is ahead of it', [failure], 22, null, 20],
      ['the failure where the row was stored after it', [failure], null, 23, 20],
      ['the failure of a scheduled message', [event('scheduled', 2), failure], null, 1, 20],
      ['Twilio’s date of a scheduled message', [event('scheduled', 2), failure], 19, 1, 19],
      ['the queuing of a row that was stored long before', [event('queued', 18), failure], null, 1, 18],
      [
        'Twilio’s date in the answer to a poll, which comes later',
        [event('undelivered', 20, { source: 'poll', dateSent: at(3).toISOString() })],
        null,
        19,
        3,
      ],
      [
        'no time of a poll itself',
        [event('sent', 18, { source: 'poll' }), event('undelivered', 20, { source: 'poll' })],
        7,
        null,
        7,
      ],
      ['no malformed date', [event('undelivered', 20, { dateSent: 'yesterday' })], null, 9, 9],
    ];

  it.each(cases)('is %s', (_, events, twilio, stored, sent) => {
    const dates = {
      twilioSentAt: twilio === null ? null : at(twilio),
      storedAt: stored === null ? null : at(stored),
      claimedAt: at(21),
    };
    expect(originalSentAt(events, dates)).toEqual(at(sent));
  });
});

describe('the remaining time', () => {
  it.each([
    [0, 14_400],
    [3, 3_600],
    [4, 0],
    [5, -3_600],
  ])('after %i hours is %i seconds of the default', (hours, left) => {
    expect(secondsLeft(at(0), at(hours), {})).toBe(left);
  });

  it('is rounded down to whole seconds, so that the SMS is never kept for longer', () => {
    expect(secondsLeft(at(0), new Date(at(3).getTime() + 1), {})).toBe(3_599);
  });

  it("bounds how long Twilio keeps the SMS, within Twilio's limits", () => {
    expect(validityPeriodSeconds(100, {})).toBe(100);
    expect(validityPeriodSeconds(100_000, {})).toBe(14_400);
    expect(validityPeriodSeconds(100, { validityPeriodSeconds: 60 })).toBe(60);
    expect(validityPeriodSeconds(-5, {})).toBe(1);
    expect(validityPeriodSeconds(null, { validityPeriodSeconds: 600 })).toBe(600);
  });
});
