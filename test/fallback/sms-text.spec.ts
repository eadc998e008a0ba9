import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAXIMUM_SMS_LENGTH, toSmsText } from '../../src/fallback/sms-text.js';

const anyText = fc.string({ unit: 'grapheme', maxLength: 2_000, size: 'max' });
/** Around the limit, where it matters whether the cut goes through an emoji. */
const longText = fc
  .tuple(
    fc.nat({ max: 3 }),
    fc.array(fc.constantFrom('a', 'é', '👋', '👩‍👧'), { minLength: 1_590, maxLength: 1_620 }),
  )
  .map(([lead, characters]) => 'a'.repeat(lead) + characters.join(''));

describe('toSmsText', () => {
  it('keeps a text that fits', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        fc.pre(text.length <= MAXIMUM_SMS_LENGTH);
        expect(toSmsText(text)).toEqual({ text, truncated: false });
      }),
    );
  });

  it('cuts a longer one to at most 1600 characters: its beginning, and …', () => {
    fc.assert(
      fc.property(longText, (text) => {
        fc.pre(text.length > MAXIMUM_SMS_LENGTH);
        const sms = toSmsText(text);
        expect(sms.truncated).toBe(true);
        expect(sms.text.endsWith('…')).toBe(true);
        expect(text.startsWith(sms.text.slice(0, -1))).toBe(true);
        // One less where the last place would hold half an emoji.
        expect([1_599, 1_600]).toContain(sms.text.length);
      }),
    );
  });

  it('never splits a surrogate pair', () => {
    fc.assert(
      fc.property(longText, (text) => {
        expect(toSmsText(text).text.isWellFormed()).toBe(true);
      }),
    );
  });
});
