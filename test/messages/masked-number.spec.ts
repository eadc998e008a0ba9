import { describe, expect, it } from '@jest/globals';
import { maskNumber, maskNumbersIn } from '../../src/messages/phone-number.js';

describe('a masked telephone number', () => {
  it.each([
    ['+15551234567', '+*******4567'],
    ['12345', '*2345'],
    ['1234', '1234'],
    ['CLINIC', 'CLINIC'],
    ['US.13491208655302741918', 'US.****************1918'],
    ['DE.ENT.Ab12Cd34Ef56', 'DE.ENT.********Ef56'],
    ['US.Abcdef', 'US.**cdef'],
    ['US.1234', 'US.1234'],
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
    ['whatsapp:US.13491208655302741918 is gone', 'whatsapp:US.****************1918 is gone'],
    ['(DE.ENT.Ab12Cd34Ef56)', '(DE.ENT.********Ef56)'],
    ['Made in the US.Really', 'Made in the US.Really'],
  ])('in the text %s', (text, masked) => {
    expect(maskNumbersIn(text)).toBe(masked);
  });
});
