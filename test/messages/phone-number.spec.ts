import { describe, expect, it } from '@jest/globals';
import { parsePhoneNumber } from '../../src/messages/phone-number.js';

describe('a telephone number', () => {
  it.each([
    '+491701234567',
    ' +491701234567 ',
    '491701234567',
    '00491701234567',
    'whatsapp:+491701234567',
    'WhatsApp: +49 170 1234567',
    'tel:+49-170-123-4567',
    '+49 (170) 123-45 67',
    '+49 (0)170 1234567',
    '+49.170.123.4567',
    '+49 170/1234567',
    '+49\u00a0170\u20111234567',
  ])('is the same written as %s', (text) => {
    expect(parsePhoneNumber(text)).toBe('+491701234567');
  });

  it.each([
    '',
    '+',
    '01701234567',
    '+12345',
    '+1234567890123456',
    '++491701234567',
    'nobody',
    'whatsapp:nobody',
    'SM0123456789abcdef0123456789abcdef',
    '+49170x1234567',
    'https://example.com/491701234567',
  ])('is not found in %j', (text) => {
    expect(parsePhoneNumber(text)).toBeNull();
  });
});
