import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { numberOf, parseAddress, userIdsOf } from '../../src/message-events/channel-address.js';
import { numberForms, parseSender, parseStoredNumber, smsNumber } from '../../src/messages/phone-number.js';

const E164 = /^\+[1-9][0-9]{6,14}$/;

/** Anything that Twilio, an application, or a stranger can write as an address. */
const address = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .tuple(fc.constantFrom('whatsapp:', 'sms:', '', 'whatsapp: ', 'messenger:'), fc.string())
    .map(([a, b]) => a + b),
  fc.stringMatching(/^whatsapp:[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,40}$/),
  fc.stringMatching(/^(whatsapp:)?\+?[0-9Xx*. ()-]{1,20}$/),
  fc.stringMatching(/^(whatsapp:)?\+(1|44|49|52|521|54|549|55|229)[0-9]{3,12}$/),
);

/** Numbers of the countries for which WhatsApp has its own form, and of others. */
const number = fc.oneof(
  fc.stringMatching(/^\+52(1)?[2-9][0-9]{9}$/),
  fc.stringMatching(/^\+55[1-9][1-9](9)?[6-9][0-9]{7}$/),
  fc.stringMatching(/^\+54(9)?[1-8][0-9]{9}$/),
  fc.stringMatching(/^\+229(01)?[2-9][0-9]{7}$/),
  fc.stringMatching(/^\+1[2-9][0-9]{9}$/),
);

describe('an address', () => {
  it('gives an SMS only an E.164 recipient, whatever the address is', () => {
    fc.assert(
      fc.property(address, (text) => {
        const parsed = parseAddress(text);
        const to = parsed.kind === 'phone' && parsed.text !== null ? smsNumber(parsed.text) : null;
        expect(to ?? '+15550107001').toMatch(E164);
        // The recipient has the digits of a number that was written as one.
        if (to !== null) expect(text).toMatch(/\+[1-9][0-9]{6,14}$/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives an SMS only an E.164 sender, whatever the application stores', () => {
    fc.assert(
      fc.property(address, (text) => {
        expect(parseSender(text) ?? '+15550107001').toMatch(E164);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is a user ID or a number, and never both', () => {
    fc.assert(
      fc.property(address, (text) => {
        const parsed = parseAddress(text);
        const { userId, parentUserId } = userIdsOf([parsed]);
        const isNamed = (userId ?? parentUserId) !== null;
        expect(isNamed).toBe(parsed.kind === 'user_id');
        if (isNamed || parsed.kind === 'masked') expect(numberOf(parsed)).toBeNull();
      }),
    );
  });

  it.each([
    ['whatsapp:+15550107001', 'phone'],
    ['+15550107001', 'phone'],
    ['whatsapp:US.13491208655302741918', 'user_id'],
    ['US.ENT.11815799212886844830', 'user_id'],
    [`whatsapp:MX.${'A1'.repeat(64)}`, 'user_id'],
    [`whatsapp:MX.${'A1'.repeat(65)}`, 'other'],
    ['whatsapp:US.ENT.', 'other'],
    ['whatsapp:+1555010XXXX', 'masked'],
    ['+155501xxxx', 'masked'],
    ['+1555010••••', 'masked'],
    ['whatsapp:*******7001', 'masked'],
    ['messenger:1234567890', 'other'],
    ['12345', 'other'],
    ['EXAMPLE', 'other'],
    ['XXL', 'other'],
    ['', 'other'],
  ])('%s is of the kind %s', (text, kind) => {
    expect(parseAddress(text).kind).toBe(kind);
  });
});

describe('the forms of a number', () => {
  it('lead to each other', () => {
    fc.assert(
      fc.property(number, (written) => {
        const forms = numberForms(written);
        expect(forms).toContain(written);
        for (const form of forms) expect(new Set(numberForms(form))).toEqual(new Set(forms));
      }),
    );
  });

  it('include the one that SMS needs, which is its own', () => {
    fc.assert(
      fc.property(number, (written) => {
        const forms = numberForms(written);
        const needed = new Set(forms.map((form) => smsNumber(form)));
        expect(needed.size).toBe(1);
        const [sms = null] = needed;
        if (sms !== null) expect(smsNumber(sms)).toBe(sms);
      }),
    );
  });
});

describe('a person’s number as an application stores it', () => {
  it.each([
    ['+15550107001', '+15550107001'],
    ['whatsapp:+5215512345678', '+5215512345678'],
    ['tel:+55 (31) 8888-7777', '+553188887777'],
    ['0049 170 1234567', '+491701234567'],
  ])('is found in %j', (text, number) => {
    expect(parseStoredNumber(text)).toBe(number);
  });

  // Each could be a number of another country.
  it.each(['(51) 98765-4321', '34987654321', '13800138000', '15557770001', 'messenger:491701234567'])(
    'is not found in %j, which lacks its country',
    (text) => {
      expect(parseStoredNumber(text)).toBeNull();
    },
  );
});

describe('a sender as an application stores it', () => {
  it.each([
    'whatsapp:+15557770001',
    '+1 (555) 777-0001',
    'tel:+1-555-777-0001',
    ' +15557770001\n',
    '0015557770001',
    '15557770001',
    'WhatsApp: +1 555 777 0001',
  ])('is the number in %j', (text) => {
    expect(parseSender(text)).toBe('+15557770001');
  });

  it.each([
    '',
    ' ',
    'EXAMPLE',
    '12345',
    '555 777 0001',
    '+1555',
    '+1 555 777 000 111 222',
    'whatsapp:US.13491208655',
    '+1555777XXXX',
    'n/a',
  ])('has no number in %j', (text) => {
    expect(parseSender(text)).toBeNull();
  });
});
