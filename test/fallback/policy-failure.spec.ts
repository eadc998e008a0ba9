import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { STATUSES_BY_RANK } from '../../src/messages/message-status.js';
import { isPolicyFailure } from '../../src/message-events/policy-failure.js';

const report = fc.record({
  channel: fc.constantFrom('whatsapp', 'sms', 'rcs', 'messenger', 'WhatsApp', ''),
  messageStatus: fc.oneof(fc.constantFrom(...STATUSES_BY_RANK), fc.string()),
  errorCode: fc.option(fc.constantFrom('63049', '63024', '63016', '30005', '')),
});

describe('isPolicyFailure', () => {
  it.each(['failed', 'undelivered'])('is true for WhatsApp, %s, and a configured code', (messageStatus) => {
    const failure = { channel: 'whatsapp', messageStatus, errorCode: '63049' };
    expect(isPolicyFailure(failure, new Set(['63049']))).toBe(true);
    expect(isPolicyFailure({ ...failure, errorCode: '63024' }, new Set(['63049', '63024']))).toBe(true);
  });

  it('is false for everything else', () => {
    fc.assert(
      fc.property(report, (any) => {
        const fits =
          any.channel === 'whatsapp' &&
          ['failed', 'undelivered'].includes(any.messageStatus) &&
          any.errorCode === '63049';
        expect(isPolicyFailure(any, new Set(['63049']))).toBe(fits);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is always false without configured codes', () => {
    fc.assert(
      fc.property(report, (any) => {
        expect(isPolicyFailure(any, new Set())).toBe(false);
      }),
    );
  });
});
