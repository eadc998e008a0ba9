import { describe, expect, it } from '@jest/globals';
import { maskNumber, maskNumbersIn } from '../../src/messages/masked-number.js';

describe('a masked telephone number', () => {
  it.each([
    ['+15551234567', '+*******4567'],
    ['12345', '*2345'],
    ['1234', '1234'],
    ['CLINIC', 'CLINIC'],
  ])('of %s is %s', (number, masked) => {
    expect(maskNumber(number)).toBe(masked);
  });

  it.each([
    ["The 'To' number +15551234567 is not valid.", "The 'To' number +*******4567 is not valid."],
    ['Call +49 (30) 123456-78 or +1 555.123.4567', 'Call +** (**) ****56-78 or +* ***.***.4567'],
    [
      'SM0123456789abcdef0123456789abcdef at 2026-01-31 10:00',
      'SM0123456789abcdef0123456789abcdef at 2026-01-31 10:00',
    ],
    ['whatsapp:+15551234567', 'whatsapp:+*******4567'],
    ['+1 for that', '+1 for that'],
  ])('in the text %s', (text, masked) => {
    expect(maskNumbersIn(text)).toBe(masked);
  });
});
