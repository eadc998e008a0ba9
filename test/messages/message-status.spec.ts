import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { STATUSES_BY_RANK, statusRank } from '../../src/messages/message-status.js';

/** The statuses in Twilio's OpenAPI document api_v2010, message_enum_status. */
const TWILIO_STATUSES = [
  'queued',
  'sending',
  'sent',
  'failed',
  'delivered',
  'undelivered',
  'receiving',
  'received',
  'accepted',
  'scheduled',
  'read',
  'partially_delivered',
  'canceled',
];

const known = fc.constantFrom(...TWILIO_STATUSES);
const arrivals = fc.uniqueArray(known, { minLength: 1 });

/** The value of `messages.status` after statuses arrive one by one. */
function afterArrival(statuses: readonly string[]): string | undefined {
  return statuses.reduce<string | undefined>(
    (current, next) => (current !== undefined && statusRank(next) <= statusRank(current) ? current : next),
    undefined,
  );
}

describe('the rank of a status', () => {
  it('exists for each of the 13 statuses of Twilio, and no two share one', () => {
    expect([...STATUSES_BY_RANK].sort()).toEqual([...TWILIO_STATUSES].sort());
    expect(new Set(TWILIO_STATUSES.map(statusRank)).size).toBe(13);
    expect(Math.min(...TWILIO_STATUSES.map(statusRank))).toBe(1);
  });

  it('is 0 for an unknown status', () => {
    expect(statusRank('teleported')).toBe(0);
    expect(statusRank('')).toBe(0);
    expect(statusRank('SENT')).toBe(0);
  });

  it('follows the life of a message', () => {
    for (const way of [
      ['accepted', 'queued', 'sending', 'sent', 'delivered', 'read'],
      ['scheduled', 'canceled'],
      ['sent', 'undelivered'],
      ['queued', 'failed'],
      ['failed', 'delivered'],
      ['sent', 'partially_delivered', 'delivered'],
      ['receiving', 'received'],
    ]) {
      expect(afterArrival(way)).toBe(way.at(-1));
    }
  });

  it('makes the outcome the same whatever the order of arrival', () => {
    const shuffled = arrivals.chain((statuses) =>
      fc.tuple(
        fc.shuffledSubarray(statuses, { minLength: statuses.length }),
        fc.shuffledSubarray(statuses, { minLength: statuses.length }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([one, other]) => {
        expect(afterArrival(one)).toBe(afterArrival(other));
      }),
      { numRuns: 1000 },
    );
  });
});
